//! Whom the command line trusts: over https no stranger, and over a redirect nobody. The certificates are of
//! `openssl req -x509`, as people make them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "tests")]

mod support;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{Shop, assert_ended, dikas_backup, lines, stderr};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;

/// What a refusal must not say: the words of the library for its developers.
const DEBUG: [&str; 5] = ["Other(", "CaUsed", "UnknownIssuer", "NotValid", "DnsName"];

/// A certificate and its key, as `openssl` wrote them.
fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(name)
}

/// What speaks TLS before a server that does not, with the certificate and the key of a file; answers its port.
async fn terminate_tls(server: String, pem: Vec<u8>) -> u16 {
    let chain = vec![CertificateDer::from_pem_slice(&pem).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(&pem).unwrap();
    let key = default_provider().key_provider.load_private_key(key).unwrap();
    // The usual builder refuses certificates that no client should take.
    let certified = tokio_rustls::rustls::sign::CertifiedKey::new(chain, key);
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(tokio_rustls::rustls::sign::SingleCertAndKey::from(certified)));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, server) = (acceptor.clone(), server.clone());
            tokio::spawn(async move {
                let Ok(mut secure) = acceptor.accept(stream).await else { return };
                let mut plain = TcpStream::connect(server).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut secure, &mut plain).await;
            });
        }
    });
    port
}

/// A shop, and the program that calls it over https.
struct Secure {
    shop: Shop,
    runtime: tokio::runtime::Runtime,
}

impl Secure {
    fn open() -> Self {
        Self { shop: Shop::demo(), runtime: tokio::runtime::Runtime::new().unwrap() }
    }

    /// Before the shop, with this certificate.
    fn port(&self, pem: &[u8]) -> u16 {
        let server = self.shop.url.strip_prefix("http://").unwrap().to_owned();
        self.runtime.block_on(terminate_tls(server, pem.to_vec()))
    }

    fn create(&self, url: &str, file: &str, more: &[&str]) -> Output {
        let mut run = dikas_backup();
        run.args(["create", "--user", &self.shop.login.0, "--url", url, "-o"]).arg(self.shop.file(file));
        run.args(more).env("DIKAS_PASSWORD", &self.shop.login.1).output().unwrap()
    }

    /// It fails, without the words of a library, and with these.
    fn refuses(&self, url: &str, more: &[&str], words: &str) {
        let since = Instant::now();
        let refused = self.create(url, "refused.zip", more);
        assert_ended(&refused, 1);
        let said = stderr(&refused);
        assert!(said.contains("not trusted") && said.contains(words), "{words}: {said}");
        assert!(DEBUG.iter().all(|debug| !said.contains(debug)), "{said}");
        assert!(
            since.elapsed() < Duration::from_secs(10),
            "asking again helps nobody: {:?}",
            since.elapsed()
        );
        assert!(!self.shop.file("refused.zip").exists());
    }
}

#[test]
fn the_certificate_that_openssl_makes_is_trusted_where_a_file_names_it() {
    let secure = Secure::open();
    let over_http = lines(&secure.shop.create("over-http.zip"));
    for (name, has_names) in [
        ("usual.pem", true),
        ("no-authority.pem", true),
        ("without-constraints.pem", true),
        ("without-names.pem", false),
    ] {
        let file = fixture(name);
        let port = secure.port(&fs::read(&file).unwrap());
        let trusting = ["--ca-file", file.to_str().unwrap()];
        let (localhost, address) = (format!("https://localhost:{port}"), format!("https://127.0.0.1:{port}"));
        secure.refuses(&localhost, &[], "--ca-file");
        // Another one for the same name.
        let other = fixture(if name == "usual.pem" { "no-authority.pem" } else { "usual.pem" });
        secure.refuses(&localhost, &["--ca-file", other.to_str().unwrap()], "--ca-file");
        let archive = format!("{name}.zip");
        assert_ended(&secure.create(&localhost, &archive, &trusting), 0);
        assert!(lines(&secure.shop.file(&archive)) == over_http, "{name}");
        match has_names {
            true => secure.refuses(&address, &trusting, "for localhost and not for 127.0.0.1"),
            false => assert_ended(&secure.create(&address, "by-address.zip", &trusting), 0),
        }
    }
}

#[test]
fn the_key_of_a_certificate_that_is_no_authority_vouches_for_no_other() {
    let secure = Secure::open();
    for name in ["no-authority", "without-constraints"] {
        let child = fs::read(fixture(&format!("child-of-{name}.pem"))).unwrap();
        let url = format!("https://127.0.0.1:{}", secure.port(&child));
        let file = fixture(&format!("{name}.pem"));
        secure.refuses(&url, &["--ca-file", file.to_str().unwrap()], "no authority that this machine trusts");
    }
    // The same child is trusted where it is named itself.
    let child = fixture("child-of-no-authority.pem");
    let url = format!("https://127.0.0.1:{}", secure.port(&fs::read(&child).unwrap()));
    assert_ended(&secure.create(&url, "child.zip", &["--ca-file", child.to_str().unwrap()]), 0);
}

#[test]
fn a_certificate_whose_time_is_over_or_that_is_too_old_a_version_is_not_trusted() {
    let secure = Secure::open();
    let made = |years: [i32; 2]| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        [params.not_before, params.not_after] = years.map(|year| date_time_ymd(year, 1, 1));
        format!("{}{}", params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    };
    let version_1 = fs::read_to_string(fixture("version-1.pem")).unwrap();
    for (pem, words) in [
        (made([2019, 2020]), "run out, on 2020-01-01"),
        (made([2124, 2125]), "clock of this machine"),
        (version_1, "old version (1)"),
    ] {
        let file = secure.shop.file("given.pem");
        fs::write(&file, &pem).unwrap();
        let url = format!("https://localhost:{}", secure.port(pem.as_bytes()));
        secure.refuses(&url, &["--ca-file", file.to_str().unwrap()], words);
    }
}

#[test]
fn a_file_without_certificates_and_a_port_without_https_are_said() {
    let secure = Secure::open();
    let nothing = secure.shop.file("no.pem");
    fs::write(&nothing, "nothing").unwrap();
    let url = "https://localhost:1";
    assert_ended(&secure.create(url, "no.zip", &["--ca-file", nothing.to_str().unwrap()]), 2);
    let url = secure.shop.url.replace("http://", "https://");
    secure.refuses(&url, &["--ca-file", fixture("usual.pem").to_str().unwrap()], "does not speak https");
}

#[test]
fn no_password_and_no_token_goes_where_a_redirect_leads() {
    let secure = Secure::open();
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let there = elsewhere.local_addr().unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let token = secure.shop.file("token");
    fs::write(&token, "dkb_token\n").unwrap();
    #[cfg(unix)]
    fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answering = std::thread::spawn(move || {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).unwrap();
                let text = String::from_utf8_lossy(&request[..read]).into_owned();
                let target = text.split(' ').nth(1).unwrap();
                let head = format!("HTTP/1.1 {status}\r\nlocation: http://{there}{target}\r\n");
                stream
                    .write_all(format!("{head}content-length: 0\r\nconnection: close\r\n\r\n").as_bytes())
                    .unwrap();
            }
        });
        let by_password = secure.create(&url, "no.zip", &[]);
        let mut run = dikas_backup();
        run.args(["create", "--url", &url, "--token-file"])
            .arg(&token)
            .arg("-o")
            .arg(secure.shop.file("no.zip"));
        for output in [by_password, run.output().unwrap()] {
            assert_ended(&output, 1);
            let said = stderr(&output);
            assert!(said.contains(&format!("redirects to http://{there}: use that address")), "{said}");
            assert!(said.contains("[redirected]"), "{said}");
        }
        answering.join().unwrap();
    }
    assert!(elsewhere.accept().is_err(), "it was called");
}
