//! JSON Web Tokens, signed with HMAC-SHA-256 (RFC 7515, RFC 7518 section 3.2) by this server for itself.

use crate::failure::{Failure, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::Sha256;

/// `{"typ":"JWT","alg":"HS256"}`: the header of all tokens. One that says anything else is refused, whatever its signature
/// is: which algorithm is used is not the sender's to say.
const HEADER: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9";

/// What tokens are signed with.
#[derive(Debug)]
pub(super) struct TokenKey(Hmac<Sha256>);

impl TokenKey {
    /// The key made of these bytes.
    pub(super) fn new(secret: &[u8]) -> Result<Self> {
        Hmac::new_from_slice(secret).map(Self).map_err(Failure::internal)
    }

    /// A token that says this.
    pub(super) fn sign(&self, claims: &impl Serialize) -> Result<String> {
        let claims = serde_json::to_vec(claims).map_err(Failure::internal)?;
        let signed = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = self.mac_of(&signed).finalize().into_bytes();
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// What a token says, if it was signed with this key.
    pub(super) fn open<T: DeserializeOwned>(&self, token: &str) -> Option<T> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        if header != HEADER || !self.fits(signed, signature) {
            return None;
        }
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }

    /// Whether this is the signature, whole; how much of it is right shows in no time.
    fn fits(&self, signed: &str, signature: &str) -> bool {
        URL_SAFE_NO_PAD
            .decode(signature)
            .is_ok_and(|signature| self.mac_of(signed).verify_slice(&signature).is_ok())
    }

    fn mac_of(&self, signed: &str) -> Hmac<Sha256> {
        self.0.clone().chain_update(signed.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// RFC 7515, appendix A.1: key, header, claims, signature.
    const RFC: [&str; 4] = [
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    ];

    /// The secret of an installation that signed with another library, and the token of a device from there.
    const BEFORE: [&str; 2] = [
        "5e3eaa470ae9b432e3c3351919446b6f852670ea49c32b13bc215f83a105e1c8",
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.\
         eyJzdWIiOiJ1c3JfYWRtaW4iLCJraW5kIjoiZGV2aWNlIiwiZXBvY2giOjEsInBhc3N3b3JkIjoiYTMzZWJjNDg4MGIwYjNjNiIsImV4cCI6MTgxMTUy\
         NDk0MiwiZ2VuZXJhdGlvbiI6MCwianRpIjoiODcxYWQ1MDdjMWI2OTlhY2EyM2RjMGI4OGNkYWU4ZTEifQ.\
         3eYjc2MpdmxFDx9KYQ1SXJ8TfKRo9njuPv-wAWs4X0k",
    ];

    fn key() -> TokenKey {
        TokenKey::new(BEFORE[0].as_bytes()).unwrap()
    }

    #[test]
    fn the_example_of_the_rfc_has_its_signature_and_a_header_that_no_token_here_has() {
        let [key, header, claims, signature] = RFC;
        let key = TokenKey::new(&URL_SAFE_NO_PAD.decode(key).unwrap()).unwrap();
        let signed = format!("{header}.{claims}");
        assert!(key.fits(&signed, signature));
        assert_eq!(key.open::<Value>(&format!("{signed}.{signature}")), None);
    }

    #[test]
    fn a_token_of_before_stays_valid_and_what_is_signed_is_read_back() {
        let claims: Value = key().open(BEFORE[1]).unwrap();
        assert_eq!(claims["sub"], "usr_admin");
        for claims in [claims, json!({}), json!({"sub": "ä.b", "exp": u64::MAX})] {
            let token = key().sign(&claims).unwrap();
            assert_eq!(key().open::<Value>(&token), Some(claims));
            assert_eq!(TokenKey::new(b"another").unwrap().open::<Value>(&token), None);
        }
        // Byte for byte: the claims are in the order in which they are written.
        let claims = BEFORE[1].split('.').nth(1).unwrap();
        let signed = format!("{HEADER}.{claims}");
        let signature = URL_SAFE_NO_PAD.encode(key().mac_of(&signed).finalize().into_bytes());
        assert_eq!(format!("{signed}.{signature}"), BEFORE[1]);
    }

    #[test]
    fn a_token_that_is_another_by_one_letter_or_cut_or_padded_is_none() {
        let token = BEFORE[1];
        for (at, letter) in token.char_indices() {
            // The last letter of a part carries bits that no byte has: they have to be zero.
            for other in ["A", "B", ".", "=", "", "/"] {
                if !letter.to_string().eq(other) {
                    let other = format!("{}{other}{}", &token[..at], &token[at + 1..]);
                    assert_eq!(key().open::<Value>(&other), None, "{other}");
                }
            }
            assert_eq!(key().open::<Value>(&token[..at]), None);
        }
        let (signed, _) = token.rsplit_once('.').unwrap();
        for other in [format!("{token}="), format!("{token}."), format!(".{token}"), format!("{signed}.")] {
            assert_eq!(key().open::<Value>(&other), None, "{other}");
        }
    }

    #[test]
    fn another_algorithm_is_refused_though_the_signature_fits() {
        for header in [r#"{"typ":"JWT","alg":"none"}"#, r#"{"typ":"JWT","alg":"HS512"}"#, "{}"] {
            let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode("{}"));
            let signature = URL_SAFE_NO_PAD.encode(key().mac_of(&signed).finalize().into_bytes());
            assert!(key().fits(&signed, &signature));
            assert_eq!(key().open::<Value>(&format!("{signed}.{signature}")), None);
        }
    }
}
