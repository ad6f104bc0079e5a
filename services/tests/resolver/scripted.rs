//! A name server that says what a test wants, over UDP alone: TCP is refused, as behind many a firewall.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, MX, NULL, SOA, TLSA, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use crate::case::free_port;

/// What is said to one question.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    /// These records, each as kind and text.
    Records(Vec<(&'static str, String)>),
    /// The same, with the AD bit.
    Secure(Vec<(&'static str, String)>),
    /// There are none.
    NoData,
    NoName,
    Code(ResponseCode),
    /// These octets behind the question's id.
    Octets(Vec<u8>),
    /// That it does not fit.
    Truncated,
    Nothing,
}

/// What the server says to a name (without the dot at its end) and a kind.
pub(crate) type Script = dyn Fn(&str, &str) -> Say + Send + Sync;

pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    asked: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Scripted {
    pub(crate) async fn start(script: impl Fn(&str, &str) -> Say + Send + Sync + 'static) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, free_port())).await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let server = tokio::spawn(serve(socket, Arc::new(script), Arc::clone(&asked)));
        Self { address, asked, server }
    }

    /// How many questions came.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

/// Somebody between us and a name server, who says that there are no records of one kind, and has no proof of it.
pub(crate) struct Middle {
    pub(crate) address: SocketAddr,
    server: JoinHandle<()>,
}

impl Drop for Middle {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Middle {
    pub(crate) async fn start(behind: SocketAddr, hidden: &'static str) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, free_port())).await.unwrap();
        let address = socket.local_addr().unwrap();
        let onward = UdpSocket::bind((Ipv4Addr::LOCALHOST, free_port())).await.unwrap();
        onward.connect(behind).await.unwrap();
        let server = tokio::spawn(async move {
            let mut buffer = vec![0; 65_535];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                onward.send(&buffer[..length]).await.unwrap();
                let length = onward.recv(&mut buffer).await.unwrap();
                let mut answer = Message::from_vec(&buffer[..length]).unwrap();
                if answer.queries[0].query_type().to_string() == hidden {
                    answer.answers.clear();
                    answer.authorities.clear();
                    answer.additionals.clear();
                }
                socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
            }
        });
        Self { address, server }
    }
}

async fn serve(socket: UdpSocket, script: Arc<Script>, asked: Arc<AtomicUsize>) {
    let mut buffer = [0; 2048];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        let question = Message::from_vec(&buffer[..length]).unwrap();
        asked.fetch_add(1, Ordering::Relaxed);
        let query = question.queries[0].clone();
        let name = query.name().to_ascii().to_ascii_lowercase();
        let said = script(name.trim_end_matches('.'), &query.query_type().to_string());
        let mut answer = Message::response(question.id, OpCode::Query);
        answer.metadata.recursion_available = true;
        answer.add_query(query.clone());
        let octets = match said {
            Say::Nothing => continue,
            Say::Octets(octets) => [&buffer[..2], &octets].concat(),
            Say::Records(_) | Say::Secure(_) | Say::NoData | Say::NoName | Say::Code(_) | Say::Truncated => {
                fill(&mut answer, query.name(), said);
                answer.to_vec().unwrap()
            }
        };
        socket.send_to(&octets, from).await.unwrap();
    }
}

fn fill(answer: &mut Message, name: &Name, said: Say) {
    let soa = SOA::new(Name::root(), Name::root(), 1, 1, 1, 1, 60);
    match said {
        Say::Records(records) => {
            answer.add_answers(records.iter().map(|(kind, text)| record(name, kind, text)));
        }
        Say::Secure(records) => {
            answer.metadata.authentic_data = true;
            answer.add_answers(records.iter().map(|(kind, text)| record(name, kind, text)));
        }
        Say::NoData => {
            answer.add_authority(Record::from_rdata(Name::root(), 60, RData::SOA(soa)));
        }
        Say::NoName => {
            answer.metadata.response_code = ResponseCode::NXDomain;
            answer.add_authority(Record::from_rdata(Name::root(), 60, RData::SOA(soa)));
        }
        Say::Code(code) => answer.metadata.response_code = code,
        Say::Truncated => answer.metadata.truncation = true,
        Say::Octets(_) | Say::Nothing => panic!("nothing to fill"),
    }
}

fn record(name: &Name, kind: &str, text: &str) -> Record {
    let data = match kind {
        "A" => RData::A(A(text.parse().unwrap())),
        "AAAA" => RData::AAAA(AAAA(text.parse().unwrap())),
        "CNAME" => RData::CNAME(CNAME(Name::from_ascii(text).unwrap())),
        "MX" => {
            let (preference, host) = text.split_once(' ').unwrap();
            RData::MX(MX::new(preference.parse().unwrap(), Name::from_ascii(host).unwrap()))
        }
        // RFC 1035 §3.3.14: strings of at most 255 octets.
        "TXT" => RData::TXT(TXT::new(
            text.as_bytes().chunks(255).map(|part| String::from_utf8(part.to_vec()).unwrap()).collect(),
        )),
        "TLSA" => {
            let octets: Vec<u8> = text.split(' ').map(|octet| octet.parse().unwrap()).collect();
            RData::TLSA(TLSA::new(octets[0].into(), octets[1].into(), octets[2].into(), octets[3..].to_vec()))
        }
        // Octets that are no TLSA record, and are said to be one.
        "TLSA in short" => RData::Unknown {
            code: RecordType::TLSA,
            rdata: NULL::with(text.split_terminator(' ').map(|octet| octet.parse().unwrap()).collect()),
        },
        other => panic!("no records of kind {other}"),
    };
    Record::from_rdata(name.clone(), 60, data)
}
