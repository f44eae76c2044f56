//! Which addresses are public. A table of everything that is not, judged by the embedded IPv4 address where there is one.
//! Sources: the IANA special-purpose address registries (RFC 6890 and its updates) and RFC 4291, 6052, 3056, 4380, 5214.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why `ip` is not a public address; `None` when it is one.
pub(super) fn not_public(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => not_public_v4(ip),
        IpAddr::V6(ip) => not_public_v6(ip),
    }
}

const PRIVATE: &str = "a private network";
const DOCUMENTATION: &str = "a documentation network";
const RESERVED: &str = "a reserved network";
const METADATA: &str = "a cloud metadata service";

/// IPv4 networks that are refused: first address, prefix length, reason.
const V4: [(Ipv4Addr, u32, &str); 18] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "this host"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, PRIVATE),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "a carrier's shared network"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local or cloud metadata"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, PRIVATE),
    (Ipv4Addr::new(192, 0, 0, 0), 24, RESERVED),
    (Ipv4Addr::new(192, 0, 2, 0), 24, DOCUMENTATION),
    (Ipv4Addr::new(192, 31, 196, 0), 24, RESERVED),
    (Ipv4Addr::new(192, 52, 193, 0), 24, RESERVED),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a 6to4 relay"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, PRIVATE),
    (Ipv4Addr::new(192, 175, 48, 0), 24, RESERVED),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "a benchmarking network"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, DOCUMENTATION),
    (Ipv4Addr::new(203, 0, 113, 0), 24, DOCUMENTATION),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, RESERVED),
];

/// The one address outside those networks that answers only inside a cloud: Azure's platform endpoint.
const AZURE_PLATFORM: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

fn not_public_v4(ip: Ipv4Addr) -> Option<&'static str> {
    if ip == AZURE_PLATFORM {
        return Some(METADATA);
    }
    let within = |&(net, prefix, reason): &(Ipv4Addr, u32, &'static str)| {
        let apart = u32::from(ip) ^ u32::from(net);
        (apart.leading_zeros() >= prefix).then_some(reason)
    };
    V4.iter().find_map(within)
}

/// IPv6 networks that are refused inside 2000::/3, the only global unicast space that is assigned.
const V6: [(Ipv6Addr, u32, &str); 5] = [
    // Benchmarking, ORCHID, AS112 and the like; Teredo lies inside and is judged before.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, RESERVED),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, DOCUMENTATION),
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48, RESERVED),
    (Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 0), 16, RESERVED),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, DOCUMENTATION),
];

/// IPv6 networks outside 2000::/3 whose reason is worth saying.
const V6_OUTSIDE: [(Ipv6Addr, u32, &str); 8] = [
    (Ipv6Addr::UNSPECIFIED, 128, "this host"),
    (Ipv6Addr::LOCALHOST, 128, "loopback"),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, "a local translation network"),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 8, "a discard network"),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, PRIVATE),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "link-local"),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, PRIVATE),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "multicast"),
];

fn not_public_v6(ip: Ipv6Addr) -> Option<&'static str> {
    let inside = |table: &[(Ipv6Addr, u32, &'static str)]| {
        table.iter().find_map(|&(net, prefix, reason)| {
            let apart = u128::from(ip) ^ u128::from(net);
            (apart.leading_zeros() >= prefix).then_some(reason)
        })
    };
    if let Some(reason) = inside(&V6_OUTSIDE) {
        return Some(reason);
    }
    match embedded_v4(ip) {
        Embedded::Instead(hosts) => return hosts.into_iter().find_map(not_public_v4),
        // An interface identifier under someone's own prefix: both must be public.
        Embedded::Beside(host) => {
            if let Some(reason) = not_public_v4(host) {
                return Some(reason);
            }
        }
        Embedded::None => {}
    }
    if ip.segments()[0] & 0xe000 != 0x2000 {
        return Some(RESERVED);
    }
    inside(&V6)
}

/// IPv4 addresses inside an IPv6 one.
enum Embedded {
    None,
    /// Packets end at these hosts, so they alone are judged.
    Instead([Ipv4Addr; 2]),
    /// The address may also lead to this host.
    Beside(Ipv4Addr),
}

fn embedded_v4(ip: Ipv6Addr) -> Embedded {
    let octets = ip.octets();
    let at = |i: usize| Ipv4Addr::new(octets[i], octets[i + 1], octets[i + 2], octets[i + 3]);
    match ip.segments() {
        // v4-compatible ::a.b.c.d, v4-mapped ::ffff:a.b.c.d, v4-translated ::ffff:0:a.b.c.d, NAT64 64:ff9b::a.b.c.d.
        [0, 0, 0, 0, 0, 0, _, _]
        | [0, 0, 0, 0, 0, 0xffff, _, _]
        | [0, 0, 0, 0, 0xffff, 0, _, _]
        | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => Embedded::Instead([at(12), at(12)]),
        // 6to4: 2002:aabb:ccdd::/48.
        [0x2002, ..] => Embedded::Instead([at(2), at(2)]),
        // Teredo: the server in clear, the client inverted.
        [0x2001, 0, ..] => {
            let client = Ipv4Addr::from(!u32::from(at(12)));
            Embedded::Instead([at(4), client])
        }
        // ISATAP interface identifiers, local and universal.
        [_, _, _, _, 0 | 0x200, 0x5efe, _, _] => Embedded::Beside(at(12)),
        _ => Embedded::None,
    }
}
