//! What no setting can tell by itself: whether they fit together.

use std::net::SocketAddr;
use std::ops::Range;

use super::apps::origin_of;
use super::mistakes::Mistake;
use super::{Config, TlsFiles};

/// Where the install listener's flow begins.
pub const START_PATH: &str = "/start";

/// Checks the whole, and fills in what follows from other settings. `place` finds a setting in
/// the file.
pub(super) fn whole(
    config: &mut Config,
    place: &dyn Fn(&str) -> Option<Range<usize>>,
    mistakes: &mut Vec<Mistake>,
    warnings: &mut Vec<String>,
) {
    certificates("tls", config.tls.as_ref(), place, mistakes);
    certificates("admin.tls", config.admin.tls.as_ref(), place, mistakes);
    if !config.admin_listen.ip().is_loopback() && config.admin.tls.is_none() {
        mistakes.push(
            Mistake::new("`admin.listen` on an address other than loopback needs `admin.tls`: credentials would travel in clear text")
                .at(place("admin.listen"))
                .help("set `admin.tls`, or keep it on 127.0.0.1 or [::1]; for probes and scrapes from elsewhere set `monitor.listen`"),
        );
    }
    if config.admin.tls.is_some() && config.monitor_listen.is_none() {
        warnings.push(
            "`admin.tls` is set and `monitor.listen` is not: probes, scrapes and `scopegate health` would need TLS; set `monitor.listen`"
                .to_owned(),
        );
    }
    listeners(config, place, mistakes);
    installs(config, place, mistakes);
    if config.public_url_is_default {
        config.public_url = own_url(config.listen, config.tls.is_some());
    }
    let upstream: Option<http::Uri> = config.upstream.url.parse().ok();
    let clear = upstream
        .as_ref()
        .is_some_and(|url| url.scheme_str() == Some("http"));
    let host = upstream.as_ref().and_then(http::Uri::host).unwrap_or_default();
    let local = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback());
    if clear && !local {
        warnings.push("`upstream.url` is http: HubSpot tokens travel in clear text".to_owned());
    }
    if config.limits.judged_total_bytes < config.limits.judged_body_bytes {
        mistakes.push(
            Mistake::new("`limits.judged_total_size` is smaller than `limits.judged_body_size`")
                .at(place("limits.judged_total_size").or_else(|| place("limits.judged_body_size")))
                .help("the first is the room for all judged bodies together"),
        );
    }
    if config.limits.head_bytes < config.limits.target_bytes {
        mistakes.push(
            Mistake::new("`limits.head_size` is smaller than `limits.target_size`")
                .at(place("limits.head_size").or_else(|| place("limits.target_size")))
                .help("the target is a part of the head"),
        );
    }
}

/// A certificate needs its key, and the other way round.
fn certificates(
    section: &str,
    files: Option<&TlsFiles>,
    place: &dyn Fn(&str) -> Option<Range<usize>>,
    mistakes: &mut Vec<Mistake>,
) {
    let Some(files) = files else { return };
    for (member, path) in [("cert", &files.cert), ("key", &files.key)] {
        if path.as_os_str().is_empty() {
            let other = ["cert", "key", "client_ca"]
                .into_iter()
                .find_map(|member| place(&format!("{section}.{member}")));
            mistakes.push(Mistake::new(format!("TLS needs `{section}.{member}`, too")).at(other));
        }
    }
}

/// Two listeners on one address: the second could not open its port.
fn listeners(config: &Config, place: &dyn Fn(&str) -> Option<Range<usize>>, mistakes: &mut Vec<Mistake>) {
    let all = [
        ("listen", Some(config.listen)),
        ("admin.listen", Some(config.admin_listen)),
        ("monitor.listen", config.monitor_listen),
        ("install.listen", config.install.listen),
    ];
    for (n, (name, address)) in all.iter().enumerate() {
        for (earlier, other) in all.iter().take(n) {
            let (Some(a), Some(b)) = (address, other) else {
                continue;
            };
            let same = a.port() == b.port()
                && (a.ip() == b.ip() || b.ip().is_unspecified() || a.ip().is_unspecified());
            if same && a.port() != 0 {
                mistakes.push(
                    Mistake::new(format!("`{earlier}` and `{name}` are the same address"))
                        .at(place(name).or_else(|| place(earlier)))
                        .help("give each its own port"),
                );
            }
        }
    }
}

/// Whether HubSpot can send a browser back to the install listener, and the listener tell by the path
/// which app it was sent back for.
fn installs(config: &Config, place: &dyn Fn(&str) -> Option<Range<usize>>, mistakes: &mut Vec<Mistake>) {
    if config.install.listen.is_none() {
        return;
    }
    let Some(public_url) = &config.install.public_url else {
        mistakes.push(
            Mistake::new("`install.listen` needs `install.public_url`, too")
                .at(place("install.listen"))
                .help(
                    "write the origin by which people's browsers reach it, as `https://connect.example.com`",
                ),
        );
        return;
    };
    let mut paths: Vec<(&str, &str)> = Vec::new();
    for (name, app) in &config.apps {
        if app.redirect_uri.is_empty() {
            continue; // said already
        }
        let setting = format!("apps.{name}.redirect_uri");
        let path = app.callback_path();
        if origin_of(&app.redirect_uri) != *public_url {
            mistakes.push(
                Mistake::new(format!(
                    "`{setting}` is not under `install.public_url`, so HubSpot would send browsers elsewhere"
                ))
                .at(place(&setting))
                .help(format!(
                    "write `{public_url}{path}`, and register it with the app"
                )),
            );
        } else if path == START_PATH {
            mistakes.push(
                Mistake::new(format!(
                    "`{setting}` ends in `{START_PATH}`, where installs begin"
                ))
                .at(place(&setting))
                .help("give it another path, as `/callback`"),
            );
        } else if let Some((other, _)) = paths.iter().find(|(_, taken)| *taken == path) {
            mistakes.push(
                Mistake::new(format!("`{setting}` is the one of app `{other}`, too"))
                    .at(place(&setting))
                    .help("HubSpot does not say which app it sends a browser back for: give each app a path of its own"),
            );
        }
        paths.push((name, path));
    }
}

/// The URL the gate is reached by if nobody says otherwise. Also for a port that the system chose.
pub fn own_url(listen: SocketAddr, tls: bool) -> String {
    let mut address = listen;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    format!("{}://{address}", if tls { "https" } else { "http" })
}
