//! A machine of its own, as far as programs on it can tell: a root of its own over this system's programs, where any path can
//! be made, and a network of its own, where every port is free.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// Makes the root: this system's programs and libraries as they are, all else empty and in memory. `/usr/local/bin` has only
/// what is put there.
const SET_UP: &str = r#"
set -e
ip link set lo up
mount -t tmpfs none "$1"
cd "$1"
mkdir -p usr dev proc tmp etc var
mount --rbind /usr usr
mount --rbind /dev dev
mount --rbind /proc proc
for folder in bin sbin lib lib32 lib64; do
    if [ -L /$folder ]; then cp -P /$folder $folder
    elif [ -d /$folder ]; then mkdir $folder; mount --rbind /$folder $folder
    fi
done
for file in /etc/ld.so.cache /etc/passwd /etc/group; do
    if [ -f $file ]; then cp $file etc; fi
done
# Whom programs trust over https: some look at the start.
for folder in /etc/ssl /etc/pki; do
    if [ -d $folder ]; then mkdir ./$folder; mount --rbind $folder ./$folder; fi
done
mount -t tmpfs none usr/local/bin
shift
for program; do
    touch usr/local/bin/$(basename "$program")
    mount --bind "$program" usr/local/bin/$(basename "$program")
done
exec chroot . /bin/sh -c 'echo ready; exec cat'
"#;

/// It is there until it is dropped.
pub struct Machine {
    process: Child,
    // It ends with the machine's first process, which reads from it.
    _alive: ChildStdin,
    _place: tempfile::TempDir,
}

impl Machine {
    /// With these programs in its `/usr/local/bin`; none where this system lets nobody but root make one.
    pub fn start(programs: &[PathBuf]) -> Option<Self> {
        let separate = ["--map-root-user", "--mount", "--net"];
        let allowed = Command::new("unshare").args(separate).args(["ip", "link", "set", "lo", "up"]).output();
        if !allowed.is_ok_and(|output| output.status.success()) {
            crate::skip("only root can make a root and a network here");
            return None;
        }
        let place = tempfile::tempdir().unwrap();
        let mut command = Command::new("unshare");
        command.args(separate).args(["sh", "-c", SET_UP, "sh"]).arg(place.path()).args(programs);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let alive = process.stdin.take().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Some(Self { process, _alive: alive, _place: place })
    }

    /// A program that will run there, with what follows as its name and arguments.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let id = self.process.id();
        command.args(["--user", "--preserve-credentials", "--mount", "--net", "--root", "--wd"]);
        command.args(["--target", &id.to_string(), "--", program]);
        command
    }

    /// Where one of its paths is for this process.
    pub fn path(&self, path: &str) -> PathBuf {
        let root = Path::new("/proc").join(self.process.id().to_string()).join("root");
        root.join(path.trim_start_matches('/'))
    }

    /// Makes a folder there.
    pub fn make(&self, folder: &str) {
        fs::create_dir_all(self.path(folder)).unwrap();
    }

    /// The names in a folder there, in their order.
    pub fn list(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
