//! Which addresses are public. A table of everything that is not, judged by the embedded IPv4 address where there is one.
//! Sources: the IANA special-purpose address registries (RFC 6890 and its updates) and RFC 4291, 6052, 3056, 4380, 5214.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

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

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}

/// IPv4 networks that are refused, and why.
const V4: [(Ipv4Net, &str); 18] = [
    (v4([0, 0, 0, 0], 8), "this host"),
    (v4([10, 0, 0, 0], 8), PRIVATE),
    (v4([100, 64, 0, 0], 10), "a carrier's shared network"),
    (v4([127, 0, 0, 0], 8), "loopback"),
    (v4([169, 254, 0, 0], 16), "link-local or cloud metadata"),
    (v4([172, 16, 0, 0], 12), PRIVATE),
    (v4([192, 0, 0, 0], 24), RESERVED),
    (v4([192, 0, 2, 0], 24), DOCUMENTATION),
    (v4([192, 31, 196, 0], 24), RESERVED),
    (v4([192, 52, 193, 0], 24), RESERVED),
    (v4([192, 88, 99, 0], 24), "a 6to4 relay"),
    (v4([192, 168, 0, 0], 16), PRIVATE),
    (v4([192, 175, 48, 0], 24), RESERVED),
    (v4([198, 18, 0, 0], 15), "a benchmarking network"),
    (v4([198, 51, 100, 0], 24), DOCUMENTATION),
    (v4([203, 0, 113, 0], 24), DOCUMENTATION),
    (v4([224, 0, 0, 0], 4), "multicast"),
    (v4([240, 0, 0, 0], 4), RESERVED),
];

/// The one address outside those networks that answers only inside a cloud: Azure's platform endpoint.
const AZURE_PLATFORM: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

fn not_public_v4(ip: Ipv4Addr) -> Option<&'static str> {
    if ip == AZURE_PLATFORM {
        return Some(METADATA);
    }
    V4.iter().find_map(|(net, reason)| net.contains(&ip).then_some(*reason))
}

/// IPv6 networks that are refused inside 2000::/3, the only global unicast space that is assigned.
const V6: [(Ipv6Net, &str); 5] = [
    // Benchmarking, ORCHID, AS112 and the like; Teredo lies inside and is judged before.
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), RESERVED),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), DOCUMENTATION),
    (v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48), RESERVED),
    (v6([0x3ffe, 0, 0, 0, 0, 0, 0, 0], 16), RESERVED),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), DOCUMENTATION),
];

/// IPv6 networks outside 2000::/3 whose reason is worth saying.
const V6_OUTSIDE: [(Ipv6Net, &str); 8] = [
    (v6([0; 8], 128), "this host"),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "loopback"),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), "a local translation network"),
    (v6([0x100, 0, 0, 0, 0, 0, 0, 0], 8), "a discard network"),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), PRIVATE),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "link-local"),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), PRIVATE),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "multicast"),
];

fn not_public_v6(ip: Ipv6Addr) -> Option<&'static str> {
    let inside =
        |table: &[(Ipv6Net, &'static str)]| table.iter().find_map(|(net, reason)| net.contains(&ip).then_some(*reason));
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
