//! WebAssembly: the toolchain for it, wasm-bindgen, and the engine as the browser loads it.

use crate::system::{apt_install, apt_works, cargo, output, root, run, say, succeeds_within, target, which};
use anyhow::{Context, Result, bail};
use brotli::enc::BrotliEncoderParams;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const TRIPLE: &str = "wasm32-unknown-unknown";

/// Chrome 91, Firefox 89 and Safari 16.4 have it, and Brotli gains much by it.
const SIMD: &str = "-Ctarget-feature=+simd128";

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];

/// The names of functions are a fifteenth of the download, and panics name file and line without them.
const BINDGEN: &[&str] = &["--target", "web", "--remove-name-section", "--remove-producers-section"];

/// The engine's modules, by the features that make them.
const MODULES: [&str; 2] = ["making", "opening"];

/// Without the encoder there is room for speed: what opens archives reads all of a backup, twice before a restore.
const FAST: &str = "profile.wasm.package.dikas-archive.opt-level=3";

/// What each may weigh on its way to the browser.
const BUDGET: u64 = 600_000;

/// A compiler with a standard library for wasm32.
#[derive(Debug)]
pub(crate) enum Toolchain {
    /// The one that cargo takes by itself.
    Usual,
    /// Debian's, with a standard library that we built from Debian's source.
    Debian { sysroot: PathBuf, linker: PathBuf },
}

impl Toolchain {
    /// Finds a compiler for wasm32, and installs what is missing: with rustup, else with Debian's packages.
    pub(crate) fn find() -> Result<Self> {
        let forced = std::env::var("DIKAS_WASM").is_ok_and(|way| way == "debian");
        if !forced {
            if usual_has_wasm() {
                return Ok(Self::Usual);
            }
            // Once Debian's way was taken, do not wait for rustup each time.
            if let Some(ready) = debian_ready() {
                return Ok(ready);
            }
            if which("rustup").is_some() {
                say(format_args!("adding Rust's {TRIPLE} target with rustup"));
                let mut rustup = Command::new("rustup");
                rustup.args(["target", "add", TRIPLE]).env("RUSTUP_MAX_RETRIES", "1").current_dir(root());
                if succeeds_within(Duration::from_secs(90), &mut rustup) && usual_has_wasm() {
                    return Ok(Self::Usual);
                }
                say("rustup could not");
            }
        }
        if let Some(ready) = debian_ready() {
            return Ok(ready);
        }
        if !debian_rust_is_there() {
            if !apt_works() {
                bail!(
                    "Rust has no standard library for {TRIPLE} here. With rustup: rustup target add {TRIPLE}. On \
                     Debian: apt-get install {} lld",
                    DEBIAN_PACKAGES.join(" ")
                );
            }
            apt_install(DEBIAN_PACKAGES)?;
        }
        let linker = debian_linker()?;
        let sysroot = debian_std()?;
        Ok(Self::Debian { sysroot, linker })
    }

    /// `cargo <subcommand>` for wasm32, in a target folder of its own so that it neither waits for the host's builds
    /// nor undoes them.
    pub(crate) fn cargo(&self, subcommand: &str) -> Command {
        let mut command = cargo(subcommand);
        self.direct(&mut command);
        command
    }

    /// `cargo clippy` for wasm32. A clippy reads only the standard library of its own compiler.
    pub(crate) fn clippy(&self) -> Result<Command> {
        let mut command = cargo("clippy");
        if let Self::Debian { .. } = self {
            let program = Path::new("/usr/bin/cargo-clippy");
            if !program.exists() && apt_works() {
                apt_install(&["rust-web-clippy"])?;
            }
            if !program.exists() {
                bail!("Debian's clippy is missing: apt-get install rust-web-clippy");
            }
            command = Command::new(program);
            command.arg("clippy").current_dir(root());
        }
        self.direct(&mut command);
        Ok(command)
    }

    fn direct(&self, command: &mut Command) {
        let mut flags = SIMD.to_owned();
        if let Self::Debian { sysroot, linker } = self {
            flags = format!("{flags} --sysroot {}", sysroot.display());
            command.env("RUSTC", DEBIAN_RUSTC).env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        // These two would take the place of the target's flags.
        command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", flags);
        command.args(["--target", TRIPLE, "--target-dir"]).arg(target().join("wasm"));
    }
}

/// The folder with `wasm-bindgen` and `wasm-bindgen-test-runner` of exactly the version in Cargo.lock: generated code
/// and library must agree.
pub(crate) fn bindgen() -> Result<PathBuf> {
    let lock = fs::read_to_string(root().join("Cargo.lock")).context("Cargo.lock")?;
    let version = locked_version(&lock, "wasm-bindgen").context("Cargo.lock names no wasm-bindgen")?;
    let tools = target().join("tools");
    let fits = |dir: &Path| {
        let said = output(Command::new(dir.join("wasm-bindgen")).arg("--version"));
        let runner = dir.join(format!("wasm-bindgen-test-runner{}", std::env::consts::EXE_SUFFIX));
        said.is_some_and(|said| said.split_whitespace().nth(1) == Some(version)) && runner.is_file()
    };
    let in_path = which("wasm-bindgen").and_then(|path| path.parent().map(Path::to_owned));
    let here = tools.join("bin");
    if let Some(dir) = [Some(here.clone()), in_path].into_iter().flatten().find(|dir| fits(dir)) {
        return Ok(dir);
    }
    say(format_args!("building wasm-bindgen {version} into {}, once: some two minutes", tools.display()));
    let install = |locked: &[&str]| {
        let mut command = cargo("install");
        command.args(["wasm-bindgen-cli", "--force", "--version", version]).args(locked);
        run(command.arg("--root").arg(&tools))
    };
    if let Err(error) = install(&["--locked"]) {
        // A registry may lack a version that its lock file names; the newest that fit will do.
        say(format_args!("{error}; trying again without its lock file"));
        install(&[])?;
    }
    if !fits(&here) {
        bail!("wasm-bindgen {version} was built, but {} is not it", here.display());
    }
    Ok(here)
}

/// Builds the engine into `www/engine/pkg`, both of its modules, with compressed siblings for the server to send.
pub(crate) fn build_engine(toolchain: &Toolchain) -> Result<()> {
    let tools = bindgen()?;
    for module in MODULES {
        build_module(toolchain, &tools, module)?;
    }
    Ok(())
}

/// Builds what the engine is with one of its features.
fn build_module(toolchain: &Toolchain, tools: &Path, name: &str) -> Result<()> {
    say(format_args!("building the engine for the browser: {name}"));
    // As the cdylib alone: cargo leaves link-time optimisation out where an rlib is made with it.
    let mut build = toolchain.cargo("rustc");
    build.args(["--package", "dikas-archive", "--lib", "--crate-type", "cdylib", "--profile", "wasm"]);
    if name == "opening" {
        build.args(["--config", FAST]);
    }
    run(build.args(["--no-default-features", "--features", name]))?;
    let built = target().join("wasm").join(TRIPLE).join("wasm").join("dikas_archive.wasm");
    let bytes = fs::read(&built).with_context(|| built.display().to_string())?;

    let package = root().join("www").join("engine").join("pkg");
    let module = package.join(format!("{name}_bg.wasm"));
    let glue = package.join(format!("{name}.js"));
    let files = [glue, module.clone(), sibling(&module, "br"), sibling(&module, "gz")];
    let stamp_file = target().join("wasm").join(format!("{name}.stamp"));
    let stamp = stamp(&bytes, tools);
    let known = fs::read_to_string(&stamp_file).is_ok_and(|old| old == stamp);
    if known && files.iter().all(|file| file.is_file()) {
        return Ok(());
    }

    let mut bindgen = Command::new(tools.join("wasm-bindgen"));
    run(bindgen.args(BINDGEN).args(["--out-name", name, "--out-dir"]).arg(&package).arg(&built))?;
    let bytes = fs::read(&module)?;
    let brotli = brotli(&bytes)?;
    fs::write(sibling(&module, "br"), &brotli)?;
    let gzip = gzip(&bytes)?;
    fs::write(sibling(&module, "gz"), &gzip)?;
    let kb = |bytes: &[u8]| bytes.len().div_ceil(1000);
    say(format_args!("{name}: {} KB; as Brotli {} KB, as gzip {} KB", kb(&bytes), kb(&brotli), kb(&gzip)));
    if brotli.len() as u64 > BUDGET {
        say(format_args!("that is more than the {} KB it should be as Brotli", BUDGET / 1000));
    }
    // The stamp comes last: what was interrupted is done again.
    fs::write(&stamp_file, stamp)?;
    Ok(())
}

/// What decides whether the package has to be made again.
fn stamp(module: &[u8], tools: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    module.hash(&mut hasher);
    let bindgen = output(Command::new(tools.join("wasm-bindgen")).arg("--version")).unwrap_or_default();
    format!("{:016x} {bindgen} {}", hasher.finish(), BINDGEN.join(" "))
}

fn sibling(file: &Path, extension: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

fn brotli(bytes: &[u8]) -> Result<Vec<u8>> {
    let params = BrotliEncoderParams { quality: 11, size_hint: bytes.len(), ..Default::default() };
    let mut out = Vec::new();
    brotli::BrotliCompress(&mut &*bytes, &mut out, &params)?;
    Ok(out)
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

/// The version of a package in the text of a Cargo.lock.
fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let entry = lock.split("[[package]]").find(|entry| quoted(entry, "name") == Some(package))?;
    quoted(entry, "version")
}

fn quoted<'a>(entry: &'a str, key: &str) -> Option<&'a str> {
    let rest = entry.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""))?;
    rest.strip_suffix('"')
}

/// Whether the active compiler brings its standard library for wasm32.
fn usual_has_wasm() -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    output(Command::new(rustc).args(["--print", "sysroot"]).current_dir(root()))
        .is_some_and(|sysroot| Path::new(&sysroot).join("lib/rustlib").join(TRIPLE).join("lib").is_dir())
}

fn debian_rust_is_there() -> bool {
    ["/usr/bin/rustc", "/usr/bin/cargo", "/usr/lib/rustlib/src/rust/library/std/Cargo.toml"]
        .iter()
        .all(|path| Path::new(path).exists())
}

/// Debian's `rustc -vV`, and out of it the major version of its LLVM.
fn debian_version() -> Result<(String, String)> {
    let version = output(Command::new(DEBIAN_RUSTC).arg("-vV")).context("Debian's rustc does not run")?;
    let llvm = version.lines().find_map(|line| line.strip_prefix("LLVM version: "));
    let major =
        llvm.and_then(|llvm| llvm.split('.').next()).context("Debian's rustc names no LLVM")?.to_owned();
    Ok((version, major))
}

/// The linker of the same LLVM that Debian's compiler has.
fn debian_linker() -> Result<PathBuf> {
    let (_, llvm) = debian_version()?;
    let linker = PathBuf::from(format!("/usr/bin/wasm-ld-{llvm}"));
    if !linker.exists() {
        let package = format!("lld-{llvm}");
        if !apt_works() {
            bail!("the linker for {TRIPLE} is missing: apt-get install {package}");
        }
        apt_install(&[&package])?;
    }
    Ok(linker)
}

fn debian_sysroot() -> PathBuf {
    target().join("tools").join("wasm-sysroot")
}

/// Debian's way if it was prepared before, with the compiler that is still there.
fn debian_ready() -> Option<Toolchain> {
    let (version, llvm) = debian_version().ok()?;
    let sysroot = debian_sysroot();
    let linker = PathBuf::from(format!("/usr/bin/wasm-ld-{llvm}"));
    let built_by = fs::read_to_string(sysroot.join("rustc-version")).ok()?;
    (built_by == version && linker.exists()).then_some(Toolchain::Debian { sysroot, linker })
}

/// Builds the standard library for wasm32 from Debian's source, once per compiler.
fn debian_std() -> Result<PathBuf> {
    let (version, _) = debian_version()?;
    let sysroot = debian_sysroot();
    if sysroot.display().to_string().contains(char::is_whitespace) {
        bail!("Debian's way to {TRIPLE} needs a path without spaces: {}", sysroot.display());
    }
    say(format_args!("building the standard library for {TRIPLE} from Debian's source, once: half a minute"));
    let work = target().join("tools").join("wasm-std");
    fs::create_dir_all(work.join("src"))?;
    // The empty workspace table keeps it out of ours.
    let manifest = "[package]\nname = \"nothing\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n";
    fs::write(work.join("Cargo.toml"), manifest)?;
    fs::write(work.join("src").join("lib.rs"), "#![no_std]\n")?;
    let mut build = Command::new("/usr/bin/cargo");
    build
        .args([
            "build",
            "--release",
            "-Zbuild-std=std,panic_abort,panic_unwind,test,proc_macro",
            "--target",
            TRIPLE,
        ])
        .args(["--target-dir", "target"])
        .current_dir(&work)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC", DEBIAN_RUSTC)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", "-Cembed-bitcode=yes");
    run(&mut build)?;

    let library = sysroot.join("lib/rustlib").join(TRIPLE).join("lib");
    if sysroot.exists() {
        fs::remove_dir_all(&sysroot)?;
    }
    fs::create_dir_all(&library)?;
    for entry in fs::read_dir(work.join("target").join(TRIPLE).join("release/deps"))? {
        let path = entry?.path();
        if let (Some(name), Some("rlib")) = (path.file_name(), path.extension().and_then(|e| e.to_str())) {
            fs::copy(&path, library.join(name))?;
        }
    }
    fs::write(sysroot.join("rustc-version"), version)?;
    Ok(sysroot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn the_lock_file_names_the_version_of_the_package_itself() {
        let lock = "version = 4\n\n[[package]]\nname = \"wasm-bindgen-macro\"\nversion = \"9.9.9\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\nsource = \"x\"\n";
        assert_eq!(locked_version(lock, "wasm-bindgen"), Some("0.2.130"));
        assert_eq!(locked_version(lock, "wasm"), None);
    }

    #[test]
    fn compressed_siblings_decompress_to_the_same() {
        let bytes: Vec<u8> = (0..50_000u32).flat_map(|n| (n.wrapping_mul(n) / 7).to_le_bytes()).collect();
        let mut plain = Vec::new();
        brotli::BrotliDecompress(&mut &*brotli(&bytes).unwrap(), &mut plain).unwrap();
        assert!(plain == bytes);
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&*gzip(&bytes).unwrap()).read_to_end(&mut plain).unwrap();
        assert!(plain == bytes);
    }
}
