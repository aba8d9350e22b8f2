//! Which servers the command line trusts over https: those for which the system's certificates vouch or the ones of a
//! file, and a server that shows a certificate of that file itself. `openssl req -x509` makes such certificates: they say
//! that they are an authority, and no verifier takes that from a server.

use dikas_archive::error::{Error, ErrorKind, Result};
use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error as Refusal, SignatureScheme};
use rustls_platform_verifier::Verifier;
use std::sync::Arc;

/// How to speak TLS where these certificates are trusted too (PEM).
///
/// # Errors
/// `bad-argument` where there is no certificate, `internal`.
pub(crate) fn trusting(pem: &[u8]) -> Result<ClientConfig> {
    let given: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let given = given.ok().filter(|given| !given.is_empty());
    let Some(given) = given else {
        return Err(Error::new(ErrorKind::BadArgument, "there is no certificate in PEM"));
    };
    let unusable = |error: Refusal| {
        Error::new(ErrorKind::BadArgument, format!("a certificate cannot be used: {}", said(&error)))
    };
    let provider = Arc::new(ring::default_provider());
    // As a root, any certificate vouches for others: the verifier does not look at what else a root says of itself.
    let authorities: Vec<_> = given.iter().filter(|given| is_authority(given)).cloned().collect();
    let system = Verifier::new_with_extra_roots(authorities, Arc::clone(&provider)).map_err(unusable)?;
    let trust = Trust { system, given };
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(unusable)?.dangerous().with_custom_certificate_verifier(Arc::new(trust));
    Ok(config.with_no_client_auth())
}

/// The extension basicConstraints (RFC 5280 section 4.2.1.9) with `CA:TRUE`, in DER up to the length of a path: its
/// identifier, maybe that it is critical, and a sequence that begins with the boolean.
const BASIC_CONSTRAINTS: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x13];
const CRITICAL: [u8; 3] = [0x01, 0x01, 0xff];
const TRUE: [u8; 3] = [0x01, 0x01, 0xff];

/// Whether a certificate says that it is an authority. One that does not is trusted as itself alone.
fn is_authority(certificate: &[u8]) -> bool {
    extensions(certificate).is_some_and(says_authority)
}

/// Whether one of these extensions says so.
fn says_authority(mut extensions: &[u8]) -> bool {
    while let Some((SEQUENCE, extension, rest)) = element(extensions) {
        if let Some(value) = extension.strip_prefix(&BASIC_CONSTRAINTS) {
            let value = value.strip_prefix(&CRITICAL).unwrap_or(value);
            let within = element(value).and_then(|(_, value, _)| element(value));
            return within.is_some_and(|(_, constraints, _)| constraints.starts_with(&TRUE));
        }
        extensions = rest;
    }
    false
}

const SEQUENCE: u8 = 0x30;

/// The tag of the extensions in what is signed of a certificate (RFC 5280 section 4.1).
const EXTENSIONS: u8 = 0xa3;

/// The extensions of a certificate in DER.
fn extensions(certificate: &[u8]) -> Option<&[u8]> {
    let (_, whole, _) = element(certificate)?;
    let (_, mut signed, _) = element(whole)?;
    loop {
        let (tag, value, rest) = element(signed)?;
        if tag == EXTENSIONS {
            return element(value).map(|(_, extensions, _)| extensions);
        }
        signed = rest;
    }
}

/// The first element of DER: its tag, its content, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first.checked_sub(0x80) {
        None => (usize::from(*first), rest),
        Some(count @ 1..=4) => {
            let (digits, rest) = rest.split_at_checked(count.into())?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        Some(_) => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// Why a server is not trusted, if it is that.
pub(crate) fn distrust(error: &Refusal) -> Option<String> {
    match error {
        Refusal::InvalidCertificate(_) => Some(said(error)),
        Refusal::InvalidMessage(_) => Some(
            "what answers there does not speak https: it may be another port, or an address with http://"
                .to_owned(),
        ),
        _ => None,
    }
}

/// The system's verifier, and the certificates of the file.
#[derive(Debug)]
struct Trust {
    system: Verifier,
    given: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Refusal> {
        let verdict =
            self.system.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verdict {
            // The same to the last byte: no other certificate has to vouch for it.
            Err(refusal) if self.given.iter().any(|given| given == end_entity) => {
                given_itself(refusal, end_entity, server_name)
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Refusal> {
        self.system.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Refusal> {
        self.system.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.system.supported_verify_schemes()
    }
}

/// Trusts a certificate of the file all the same, unless its time or its names are against it. One without names is
/// good for any.
fn given_itself(
    refusal: Refusal,
    certificate: &CertificateDer<'_>,
    server_name: &ServerName<'_>,
) -> Result<ServerCertVerified, Refusal> {
    use CertificateError as Why;
    // The verifier looks at the time before all else.
    if let Refusal::InvalidCertificate(
        Why::Expired
        | Why::ExpiredContext { .. }
        | Why::NotValidYet
        | Why::NotValidYetContext { .. }
        | Why::Revoked
        | Why::BadEncoding,
    ) = refusal
    {
        return Err(refusal);
    }
    match verify_server_name(&ParsedCertificate::try_from(certificate)?, server_name) {
        Err(Refusal::InvalidCertificate(Why::NotValidForNameContext { presented, .. }))
            if presented.is_empty() =>
        {
            Ok(ServerCertVerified::assertion())
        }
        verdict => verdict.map(|()| ServerCertVerified::assertion()),
    }
}

/// A refusal in words; those of the library are for its developers.
fn said(error: &Refusal) -> String {
    use CertificateError as Why;
    let Refusal::InvalidCertificate(why) = error else { return error.to_string() };
    match why {
        Why::Expired => "its certificate has run out".to_owned(),
        Why::ExpiredContext { not_after, .. } => format!("its certificate has run out, on {}", moment(*not_after)),
        Why::NotValidYet => "its certificate is not good yet: look at the clock of this machine".to_owned(),
        Why::NotValidYetContext { not_before, .. } => {
            format!("its certificate is good from {} only: look at the clock of this machine", moment(*not_before))
        }
        Why::NotValidForNameContext { expected, presented } if !presented.is_empty() => format!(
            "its certificate is for {} and not for {}: use such a name in the address, or have one made that has it",
            presented.iter().map(|name| plain_name(name)).collect::<Vec<_>>().join(", "),
            expected.to_str()
        ),
        Why::NotValidForName | Why::NotValidForNameContext { .. } => {
            "its certificate is not for this name: have one made with subjectAltName, or name the file of this very \
             certificate with --ca-file"
                .to_owned()
        }
        Why::Revoked => "its certificate was revoked".to_owned(),
        Why::BadEncoding => "its certificate is damaged".to_owned(),
        Why::Other(other) if other.to_string() == "UnsupportedCertVersion" => {
            "its certificate is of an old version (1): have one made as `openssl req -x509` does".to_owned()
        }
        _ => "no authority that this machine trusts vouches for its certificate; --ca-file names certificates to trust \
              beside those of the system, the server's own for one"
            .to_owned(),
    }
}

fn moment(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let moment = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    moment.map_or_else(|| "a day that no calendar has".to_owned(), |moment| moment.to_string())
}

/// The library writes names as `DnsName("till.example")` and `IpAddress(192.0.2.10)`.
fn plain_name(name: &str) -> &str {
    let within = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    within.unwrap_or(name).trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_certificate_that_says_so_is_an_authority() {
        for (pem, authority) in [
            (&include_bytes!("../tests/certificates/usual.pem")[..], true),
            (include_bytes!("../tests/certificates/without-names.pem"), true),
            (include_bytes!("../tests/certificates/no-authority.pem"), false),
            (include_bytes!("../tests/certificates/without-constraints.pem"), false),
            (include_bytes!("../tests/certificates/version-1.pem"), false),
        ] {
            let certificate = CertificateDer::from_pem_slice(pem).unwrap();
            assert_eq!(is_authority(&certificate), authority);
            for length in 0..certificate.len() {
                assert!(!is_authority(&certificate[..length]), "cut to {length} bytes");
            }
        }
    }
}
