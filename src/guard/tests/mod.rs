//! The guard's rules as tables of addresses and URLs.
//! What the client makes of them is tested against real local servers, in a module of its own.

mod connections;

use super::*;

fn guard(allow: &[&str]) -> Guard {
    let allow = allow.iter().map(|net| net.parse().expect("a network")).collect();
    Guard::new(allow, DEFAULT_PORTS.to_vec())
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| panic!("{text} is no address"))
}

const NOT_PUBLIC: &[&str] = &[
    // IPv4: first and last of each network.
    "0.0.0.0",
    "0.255.255.255",
    "10.0.0.0",
    "10.255.255.255",
    "100.64.0.0",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.255",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.255.255",
    "172.16.0.0",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.168.0.0",
    "192.168.255.255",
    "192.175.48.1",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    // IPv6.
    "::",
    "::1",
    "100::1",
    "100:0:0:1::1",
    "200::1",
    "1fff::1",
    "2001:1::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:1ff::1",
    "2001:db8::1",
    "2620:4f:8000::1",
    "3ffe::1",
    "3fff::1",
    "3fff:fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    // IPv4 inside IPv6.
    "::ffff:127.0.0.1",
    "::ffff:10.1.2.3",
    "::ffff:169.254.169.254",
    "::ffff:0:192.168.1.1",
    "::127.0.0.1",
    "::10.1.2.3",
    "64:ff9b::127.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::8.8.8.8",
    "64:ff9b:1:ffff::1",
    "64:ff9b:2::1",
    "2002:7f00:1::1",
    "2002:a9fe:a9fe::1",
    "2002:c0a8:101::1",
    // Teredo: a private server; then a public server and the client 192.168.1.1, inverted.
    "2001:0:a00:1::f7f7:f7f7",
    "2001:0:808:808::3f57:fefe",
    // ISATAP for 10.0.0.1 under a public prefix.
    "2606:4700::5efe:a00:1",
    "2606:4700::200:5efe:a00:1",
];

const PUBLIC: &[&str] = &[
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.17",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.0.3.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700::1111",
    "2a00:1450:4001::1",
    "3ffd::1",
    "3fff:1000::1",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
    // Teredo: server and client 8.8.8.8.
    "2001:0:808:808::f7f7:f7f7",
    "2606:4700::5efe:808:808",
];

#[test]
fn only_public_addresses_may_be_contacted() {
    let guard = guard(&[]);
    for text in NOT_PUBLIC {
        let judged = guard.check_address(address(text), 443);
        assert!(matches!(judged, Err(Blocked::Address { .. })), "{text}: {judged:?}");
    }
    for text in PUBLIC {
        assert_eq!(guard.check_address(address(text), 443), Ok(()), "{text}");
    }
}

#[test]
fn public_addresses_are_contacted_on_listed_ports_only() {
    let guard = guard(&["10.0.0.0/8"]);
    for port in [0, 22, 25, 81, 8080, 65535] {
        assert_eq!(guard.check_address(address("8.8.8.8"), port), Err(Blocked::Port(port)));
        assert_eq!(guard.check_address(address("::ffff:8.8.8.8"), port), Err(Blocked::Port(port)));
    }
    let other = Guard::new(Vec::new(), vec![8443]);
    assert_eq!(other.check_address(address("8.8.8.8"), 8443), Ok(()));
    assert_eq!(other.check_address(address("8.8.8.8"), 443), Err(Blocked::Port(443)));
}

#[test]
fn allowed_networks_are_open_on_any_port_and_nothing_beside_them() {
    let guard = guard(&["10.1.0.0/16", "fd00::/8"]);
    for (text, allowed) in [
        ("10.1.2.3", true),
        ("::ffff:10.1.2.3", true),
        ("fd12::1", true),
        ("10.2.0.0", false),
        ("fc00::1", false),
        ("127.0.0.1", false),
        // A translator is somebody else's machine: it is not what was allowed.
        ("64:ff9b::10.1.2.3", false),
        ("2002:a01:203::1", false),
    ] {
        for port in [80, 9000] {
            assert_eq!(guard.check_address(address(text), port).is_ok(), allowed, "{text} {port}");
        }
    }
}

#[test]
fn our_own_listeners_are_refused_even_in_an_allowed_network() {
    let guard = guard(&["127.0.0.0/8", "10.0.0.0/8", "::1/128"]);
    let one = guard.refusing(vec!["127.0.0.1:8080".parse().expect("an address")]);
    let own = |guard: &Guard, ip: &str, port| matches!(guard.check_address(address(ip), port), Err(Blocked::Own(_)));
    assert!(own(&one, "127.0.0.1", 8080));
    assert!(own(&one, "::ffff:127.0.0.1", 8080));
    assert!(!own(&one, "127.0.0.1", 8081));
    assert!(!own(&one, "127.0.0.2", 8080));

    one.refuse(vec!["127.0.0.1:9090".parse().expect("an address")]);
    assert!(own(&one.clone(), "127.0.0.1", 9090) && own(&one, "127.0.0.1", 8080));
    one.refuse(Vec::new());
    assert!(!own(&one, "127.0.0.1", 9090));

    let every = guard.refusing(vec!["[::]:8080".parse().expect("an address")]);
    for ip in ["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0"] {
        assert!(own(&every, ip, 8080), "{ip}");
    }
    assert!(!own(&every, "10.255.255.254", 8080));
    assert!(!own(&every, "127.0.0.1", 80));
}

#[test]
fn urls_are_judged_by_scheme_credentials_literal_and_port() {
    let guard = guard(&[]);
    let judge = |text: &str| guard.check_url(&text.parse().unwrap_or_else(|_| panic!("{text}")));
    for text in
        ["http://example.com/a.jpg", "https://example.com:443/", "http://8.8.8.8/", "https://[2606:4700::1111]/"]
    {
        assert_eq!(judge(text), Ok(()), "{text}");
    }
    for text in
        ["ftp://example.com/", "file:///etc/passwd", "data:image/png,x", "gopher://127.0.0.1:70/", "unix:/run/x"]
    {
        assert!(matches!(judge(text), Err(Blocked::Scheme(_))), "{text}");
    }
    for text in ["http://user@example.com/", "https://user:secret@example.com/", "http://:secret@example.com/"] {
        assert_eq!(judge(text), Err(Blocked::Credentials), "{text}");
    }
    for text in ["http://example.com:22/", "https://example.com:8443/", "http://8.8.8.8:8080/"] {
        assert!(matches!(judge(text), Err(Blocked::Port(_))), "{text}");
    }
    // The forms in which 127.0.0.1, 169.254.169.254 and 10.0.0.1 like to hide.
    for text in [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://127.0.0.1./",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://0/",
        "http://[::1]/",
        "http://[::ffff:7f00:1]/",
        "http://[::ffff:127.0.0.1]:80/",
        "http://169.254.169.254/latest/meta-data/",
        "http://0xa9fea9fe/",
        "http://2852039166/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://10.1/",
        "http://①②⑦.⓪.⓪.①/",
        "http://127%2E0.0.1/",
    ] {
        assert!(matches!(judge(text), Err(Blocked::Address { .. })), "{text}: {:?}", judge(text));
    }
}

#[test]
fn a_name_on_another_port_waits_for_its_address_when_a_network_is_allowed() {
    let url = "http://images.internal:9000/a.jpg".parse().expect("a URL");
    assert_eq!(guard(&[]).check_url(&url), Err(Blocked::Port(9000)));
    assert_eq!(guard(&["10.0.0.0/8"]).check_url(&url), Ok(()));
}

#[test]
fn blocked_answers_are_dropped_and_only_blocked_answers_are_a_refusal() {
    let guard = guard(&["10.0.0.0/8"]);
    let vet = |answers: &[&str]| {
        let found: Vec<SocketAddr> = answers.iter().map(|text| text.parse().expect("an address")).collect();
        guard.vet(found.into_iter())
    };
    let mixed = vet(&["127.0.0.1:80", "8.8.8.8:80", "[::1]:80", "10.0.0.1:80"]).expect("two are left");
    assert_eq!(mixed, ["8.8.8.8:80".parse().unwrap(), "10.0.0.1:80".parse().unwrap()]);
    // The port decides per address: the public one goes, the allowed one stays.
    let other_port = vet(&["8.8.8.8:9000", "10.0.0.1:9000"]).expect("one is left");
    assert_eq!(other_port, ["10.0.0.1:9000".parse().unwrap()]);

    let refused = vet(&["8.8.8.8:9000"]).expect_err("nothing is left");
    assert_eq!(refused.downcast_ref(), Some(&Blocked::Port(9000)));
    let refused = vet(&["127.0.0.1:80", "[::1]:80"]).expect_err("nothing is left");
    assert!(matches!(refused.downcast_ref(), Some(Blocked::Address { reason: "loopback", .. })));
    assert!(vet(&[]).expect_err("no answer").downcast_ref::<Blocked>().is_none());
}
