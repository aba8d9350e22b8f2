//! Who may call at all: pages of other sites are refused, and behind proxies that are trusted the client is found.
//!
//! A browser says of each call where it comes from: `Sec-Fetch-Site` over https, `Origin` for everything that writes. Programs
//! that are no browser say neither, and pass. Without a proxy that is trusted, no header says who calls.

use crate::App;
use crate::failure::Failure;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{
    CONTENT_DISPOSITION, CONTENT_LOCATION, CONTENT_RANGE, ETAG, HOST, LOCATION, ORIGIN, RETRY_AFTER,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use dikas_archive::api::{CRC32_HEADER, DOCUMENTS_HEADER, NEXT_HEADER};
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use tower_http::cors::{AllowHeaders, CorsLayer};

/// Who calls and is believed.
#[derive(Debug, Clone, Default)]
pub struct AccessRules {
    /// Proxies whose `X-Forwarded-For` and `X-Forwarded-Host` are believed.
    pub trusted_proxies: Vec<Network>,
    /// Other sites whose pages may call this server.
    pub allowed_origins: Vec<Origin>,
}

/// An address, or a network of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let net = net.map_err(|_| {
            format!(
                "expected an address or a network, such as \"127.0.0.1\" or \"10.0.0.0/8\", found {text:?}"
            )
        })?;
        Ok(Self(net))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(net) = self;
        if net.prefix_len() == net.max_prefix_len() { net.addr().fmt(f) } else { net.fmt(f) }
    }
}

/// Where a page comes from: scheme, host and, unless it is the usual one, port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    secure: bool,
    host: String,
}

impl Origin {
    /// Whether the page comes from this host, as a `Host` header writes it.
    fn is_at(&self, host: &str) -> bool {
        without_usual_port(&host.to_ascii_lowercase(), self.secure) == self.host
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = || {
            let uri = text.parse::<Uri>().ok()?;
            let authority = uri.authority()?.as_str().to_ascii_lowercase();
            let secure = match uri.scheme_str()? {
                "https" => true,
                "http" => false,
                _ => return None,
            };
            let bare = uri.query().is_none() && uri.path() == "/" && !text.ends_with('/');
            (bare && !authority.contains('@'))
                .then(|| Self { secure, host: without_usual_port(&authority, secure).to_owned() })
        };
        parsed().ok_or_else(|| {
            format!("expected an origin, such as \"https://office.example\", without a path, found {text:?}")
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.secure { "https" } else { "http" }, self.host)
    }
}

fn without_usual_port(host: &str, secure: bool) -> &str {
    host.strip_suffix(if secure { ":443" } else { ":80" }).unwrap_or(host)
}

/// The address of the client that calls; none where there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client(pub(crate) Option<IpAddr>);

/// Refuses pages of other sites, and notes who calls.
pub(crate) async fn screen(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|ConnectInfo(address)| address.ip().to_canonical());
    if let Some(from) = app.access.foreign(peer, request.method(), request.headers()) {
        let message = format!(
            "a page of another site may not call this server. If it is its own, a proxy in between has to forward Host as the \
             browser sends it; else access.allowed_origins of its configuration has to name {from}"
        );
        return Failure::new(StatusCode::FORBIDDEN, "cross-site", message).into_response();
    }
    let client = Client(app.access.client(peer, request.headers()));
    request.extensions_mut().insert(client);
    next.run(request).await
}

impl AccessRules {
    /// What lets browsers give the answers to pages of the sites that are allowed; none where there are none.
    pub(crate) fn cors(&self) -> Option<CorsLayer> {
        let origins = self.allowed_origins.iter().map(|origin| HeaderValue::from_str(&origin.to_string()));
        let origins: Vec<_> = origins.filter_map(Result::ok).collect();
        let ours = [CRC32_HEADER, DOCUMENTS_HEADER, NEXT_HEADER, "repr-digest"].map(HeaderName::from_static);
        let usual = [CONTENT_DISPOSITION, CONTENT_LOCATION, CONTENT_RANGE, ETAG, LOCATION, RETRY_AFTER];
        (!origins.is_empty()).then(|| {
            CorsLayer::new()
                .allow_origin(origins)
                .allow_methods([Method::GET, Method::PUT, Method::POST, Method::DELETE])
                .allow_headers(AllowHeaders::mirror_request())
                .expose_headers(usual.into_iter().chain(ours).collect::<Vec<_>>())
        })
    }

    /// Whether this is a trusted proxy.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|Network(net)| net.contains(&address))
    }

    /// Who calls: the last of `X-Forwarded-For` that is no trusted proxy, where the connection is one's.
    fn client(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let mut client = peer?;
        let mut passed = listed(headers, "x-forwarded-for");
        while self.trusts(client) {
            match passed.pop().map(address) {
                Some(Some(before)) => client = before,
                // What is no address was written by someone further out.
                Some(None) | None => break,
            }
        }
        Some(client)
    }

    /// The other site whose page calls, unless that is allowed or changes nothing: a link may lead here from anywhere.
    fn foreign(&self, peer: Option<IpAddr>, method: &Method, headers: &HeaderMap) -> Option<String> {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("null"));
        let origin = text(ORIGIN.as_str());
        let parsed = origin.and_then(|origin| origin.parse::<Origin>().ok());
        if parsed.as_ref().is_some_and(|origin| self.allowed_origins.contains(origin)) {
            return None;
        }
        let named = || origin.unwrap_or("its site").to_owned();
        // No page can set this header: the browser's word holds, whatever proxies make of the host.
        match text("sec-fetch-site") {
            Some("same-origin" | "none") => None,
            Some(_) => {
                let reads = matches!(*method, Method::GET | Method::HEAD);
                let leads_here = text("sec-fetch-mode") == Some("navigate");
                (!(reads && leads_here)).then(named)
            }
            None if origin.is_none() => None,
            None => {
                let ours =
                    parsed.is_some_and(|origin| self.hosts(peer, headers).any(|host| origin.is_at(&host)));
                (!ours).then(named)
            }
        }
    }

    /// What this server is called by who calls it.
    fn hosts(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> impl Iterator<Item = String> {
        let by_proxy = peer.is_some_and(|peer| self.trusts(peer));
        let forwarded = if by_proxy { listed(headers, "x-forwarded-host") } else { Vec::new() };
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        host.into_iter().chain(forwarded).map(str::to_owned).collect::<Vec<_>>().into_iter()
    }
}

/// The elements of a header that can be there more than once.
fn listed<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let values = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
    values.flat_map(|value| value.split(',')).map(str::trim).collect()
}

/// An address, to which some proxies add the port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(proxies: &[&str], origins: &[&str]) -> AccessRules {
        AccessRules {
            trusted_proxies: proxies.iter().map(|it| it.parse().unwrap()).collect(),
            allowed_origins: origins.iter().map(|it| it.parse().unwrap()).collect(),
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        HeaderMap::from_iter(pairs.iter().map(pair))
    }

    #[test]
    fn only_what_a_trusted_proxy_says_last_is_believed() {
        let client = |proxies: &[&str], peer: &str, forwarded: &'static str| {
            let headers = headers(&[("x-forwarded-for", forwarded)]);
            rules(proxies, &[]).client(peer.parse().ok(), &headers).unwrap().to_string()
        };
        for (proxies, peer, forwarded, expected) in [
            (&[][..], "10.0.0.1", "198.51.100.7", "10.0.0.1"),
            (&["10.0.0.2"], "10.0.0.1", "198.51.100.7", "10.0.0.1"),
            (&["10.0.0.1"], "10.0.0.1", "198.51.100.7", "198.51.100.7"),
            (&["10.0.0.1"], "10.0.0.1", "192.0.2.1, 198.51.100.7", "198.51.100.7"),
            (&["10.0.0.0/8"], "10.0.0.1", "192.0.2.1, 198.51.100.7, 10.9.9.9", "198.51.100.7"),
            (&["10.0.0.0/8"], "10.0.0.1", "10.1.1.1, 10.2.2.2", "10.1.1.1"),
            (&["10.0.0.1"], "10.0.0.1", "", "10.0.0.1"),
            (&["10.0.0.1"], "10.0.0.1", "198.51.100.7, unknown", "10.0.0.1"),
            (&["10.0.0.1"], "10.0.0.1", "198.51.100.7:4711", "198.51.100.7"),
            (&["::1"], "::1", "[2001:db8::7]:4711", "2001:db8::7"),
            (&["::1"], "::1", "[2001:db8::7]", "2001:db8::7"),
            (&["127.0.0.1"], "127.0.0.1", "::ffff:192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(client(proxies, peer, forwarded), expected, "{proxies:?}, {peer}, {forwarded}");
        }
    }

    #[test]
    fn pages_of_other_sites_are_refused_and_nobody_else() {
        let rules = rules(&["10.0.0.1"], &["https://office.example", "http://office.example:8080"]);
        for (peer, method, pairs, passes) in [
            // No browser.
            ("192.0.2.1", Method::POST, &[("host", "till:5015")][..], true),
            // Plain http: the origin is compared with the host.
            ("192.0.2.1", Method::POST, &[("host", "till:5015"), ("origin", "http://till:5015")], true),
            ("192.0.2.1", Method::POST, &[("host", "TILL"), ("origin", "http://till")], true),
            ("192.0.2.1", Method::POST, &[("host", "till:80"), ("origin", "http://till")], true),
            ("192.0.2.1", Method::POST, &[("host", "till:443"), ("origin", "https://till")], true),
            ("192.0.2.1", Method::POST, &[("host", "till:443"), ("origin", "http://till")], false),
            ("192.0.2.1", Method::POST, &[("host", "till:5015"), ("origin", "http://till")], false),
            ("192.0.2.1", Method::POST, &[("host", "till:5015"), ("origin", "http://evil.example")], false),
            ("192.0.2.1", Method::POST, &[("host", "till:5015"), ("origin", "null")], false),
            ("192.0.2.1", Method::POST, &[("host", "till"), ("origin", "file://till")], false),
            ("192.0.2.1", Method::GET, &[("host", "till:5015"), ("origin", "http://evil.example")], false),
            // Over https the browser says it, whatever a proxy makes of the host.
            (
                "192.0.2.1",
                Method::POST,
                &[("host", "inside"), ("origin", "https://till"), ("sec-fetch-site", "same-origin")],
                true,
            ),
            ("192.0.2.1", Method::GET, &[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")], true),
            (
                "192.0.2.1",
                Method::POST,
                &[("host", "till"), ("origin", "https://till"), ("sec-fetch-site", "cross-site")],
                false,
            ),
            ("192.0.2.1", Method::POST, &[("sec-fetch-site", "same-site")], false),
            (
                "192.0.2.1",
                Method::GET,
                &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")],
                false,
            ),
            // A link leads here from anywhere; a form does not.
            (
                "192.0.2.1",
                Method::GET,
                &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
                true,
            ),
            (
                "192.0.2.1",
                Method::POST,
                &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
                false,
            ),
            // A proxy that is trusted says what the server is called outside.
            (
                "10.0.0.1",
                Method::POST,
                &[
                    ("host", "inside"),
                    ("x-forwarded-host", "till.example"),
                    ("origin", "http://till.example"),
                ],
                true,
            ),
            (
                "192.0.2.1",
                Method::POST,
                &[
                    ("host", "inside"),
                    ("x-forwarded-host", "till.example"),
                    ("origin", "http://till.example"),
                ],
                false,
            ),
            // Sites that are allowed.
            (
                "192.0.2.1",
                Method::POST,
                &[("host", "till"), ("origin", "https://office.example"), ("sec-fetch-site", "cross-site")],
                true,
            ),
            ("192.0.2.1", Method::POST, &[("host", "till"), ("origin", "http://office.example:8080")], true),
            ("192.0.2.1", Method::POST, &[("host", "till"), ("origin", "http://office.example")], false),
        ] {
            let refused = rules.foreign(peer.parse().ok(), &method, &headers(pairs));
            assert_eq!(refused.is_none(), passes, "{method} {pairs:?}: {refused:?}");
        }
    }

    #[test]
    fn what_is_neither_an_origin_nor_a_network_is_refused() {
        for origin in [
            "office.example",
            "https://",
            "https://a/",
            "https://a/b",
            "https://u@a",
            "ftp://a",
            "*",
            "null",
            "",
        ] {
            assert!(origin.parse::<Origin>().is_err(), "{origin}");
        }
        for network in ["", "10.0.0.0/33", "10.0.0", "localhost", "*"] {
            assert!(network.parse::<Network>().is_err(), "{network}");
        }
        assert_eq!(
            "https://Office.example:443".parse::<Origin>().unwrap().to_string(),
            "https://office.example"
        );
        assert_eq!("127.0.0.1".parse::<Network>().unwrap().to_string(), "127.0.0.1");
        assert_eq!("10.0.0.0/8".parse::<Network>().unwrap().to_string(), "10.0.0.0/8");
    }
}
