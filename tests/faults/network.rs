//! Machines of their own on one computer: network namespaces on a bridge. Needs root and the program `ip`.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A network and the machines on it. It goes away when it is dropped.
pub struct Network {
    bridge: String,
    /// The first two bytes of all addresses, and the third.
    prefix: (u8, u8, u8),
    machines: Vec<String>,
    cuts: Vec<(Ipv4Addr, Ipv4Addr)>,
}

impl Network {
    pub fn create() -> Self {
        let id = std::process::id();
        let mut network = Self {
            bridge: format!("htb{id}"),
            prefix: (10, 213, u8::try_from(id % 250).expect("below 250")),
            machines: Vec::new(),
            cuts: Vec::new(),
        };
        ip(&["link", "add", &network.bridge, "type", "bridge"]);
        ip(&["link", "set", &network.bridge, "up"]);
        // The services of the test itself, each on an address of its own.
        for host in 1..=3 {
            let address = format!("{}/24", network.address(host));
            ip(&["addr", "add", &address, "dev", &network.bridge]);
        }
        for host in [11, 12, 21, 22] {
            network.add(host);
        }
        network
    }

    pub fn address(&self, host: u8) -> Ipv4Addr {
        let (first, second, third) = self.prefix;
        Ipv4Addr::new(first, second, third, host)
    }

    /// All of it, as `--allow-net` takes it.
    pub fn cidr(&self) -> String {
        format!("{}/24", self.address(0))
    }

    /// The namespace of the machine with this address.
    pub fn machine(&self, host: u8) -> String {
        format!("{}-{host}", self.bridge)
    }

    fn add(&mut self, host: u8) {
        let (name, outer) = (self.machine(host), format!("{}v{host}", self.bridge));
        ip(&["netns", "add", &name]);
        self.machines.push(name.clone());
        ip(&["link", "add", &outer, "type", "veth", "peer", "name", "eth0", "netns", &name]);
        ip(&["link", "set", &outer, "master", &self.bridge, "up"]);
        let address = format!("{}/24", self.address(host));
        for arguments in [
            &["link", "set", "lo", "up"][..],
            &["addr", "add", &address, "dev", "eth0"],
            &["link", "set", "eth0", "up"],
        ] {
            ip(&[&["-n", &name], arguments].concat());
        }
    }

    /// From now on what a service says does not reach a machine, and neither of them is told.
    pub fn cut(&mut self, service: u8, machine: u8) {
        let cut = (self.address(service), self.address(machine));
        rule("add", cut);
        self.cuts.push(cut);
    }

    /// Everything reaches everyone again.
    pub fn heal(&mut self) {
        for cut in self.cuts.drain(..) {
            rule("del", cut);
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.heal();
        for machine in &self.machines {
            ip(&["netns", "del", machine]);
        }
        ip(&["link", "del", &self.bridge]);
    }
}

fn rule(what: &str, (service, machine): (Ipv4Addr, Ipv4Addr)) {
    ip(&["rule", what, "from", &service.to_string(), "to", &machine.to_string(), "blackhole"]);
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().expect("the program ip");
    assert!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An address behind which another is, and how long what that says takes. It ends when it is dropped.
pub struct Relay {
    pub address: SocketAddr,
    delay: Arc<watch::Sender<Duration>>,
    _server: JoinSet<()>,
}

impl Relay {
    pub async fn start(address: Ipv4Addr, to: String) -> Self {
        let listener = TcpListener::bind((address, 0)).await.expect("listen");
        let address = listener.local_addr().expect("address");
        let delay = Arc::new(watch::Sender::new(Duration::ZERO));
        let (mut server, shared) = (JoinSet::new(), delay.clone());
        server.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.expect("accept");
                connections.spawn(pass(client, to.clone(), shared.clone()));
            }
        });
        Self { address, delay, _server: server }
    }

    pub fn delay(&self, delay: Duration) {
        self.delay.send_replace(delay);
    }
}

async fn pass(client: TcpStream, to: String, delay: Arc<watch::Sender<Duration>>) {
    let Ok(server) = TcpStream::connect(to).await else { return };
    let ((mut asking, mut client), (mut answering, mut server)) = (client.into_split(), server.into_split());
    let answers = async {
        let mut answer = vec![0; 64 * 1024];
        while let Ok(bytes @ 1..) = answering.read(&mut answer).await {
            let delay = *delay.borrow();
            tokio::time::sleep(delay).await;
            if client.write_all(&answer[..bytes]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = answers => {}
        _ = tokio::io::copy(&mut asking, &mut server) => {}
    }
}
