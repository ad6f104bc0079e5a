//! Debian's Courier (courier-pop), which reads its configuration in `/etc/courier` and talks by sockets in `/run/courier`.
//! It gets both from us, in a mount namespace of its own.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::server::{Kind, PASSWORD, Place, Server, USER, free_ports, skip};

/// Where `./test` unpacks it: it cannot be installed beside Dovecot's.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/foreign/courier-pop/usr/lib/courier/courier");
const DAEMON: &str = "/usr/lib/courier/courier-authlib/authdaemond";

/// `None`, and word of it, where there is none.
pub(crate) fn start() -> Option<Server> {
    if !Path::new(FOLDER).exists() || !Path::new(DAEMON).exists() {
        return skip("Fetch at Courier", "it is not there; ./test unpacks it");
    }
    if !may_unshare() {
        return skip("Fetch at Courier", "this system gives us no mount namespace, and it shall not read /etc/courier");
    }
    let place = Place::new();
    let ports = free_ports();
    let [home, maildir] = [place.home(), place.maildir()].map(|path| path.display().to_string());
    let user = format!("{USER}\tuid=65534|gid=65534|home={home}|mail={maildir}|pop3pw={}\n", encrypted(PASSWORD)?);
    place.write("etc/userdb", &user);
    place.write("etc/authdaemonrc", AUTHDAEMONRC);
    std::fs::create_dir_all(place.path().join("run/authdaemon")).unwrap();
    let pair = [place.key(), place.certificate()].map(|path| std::fs::read_to_string(path).unwrap()).concat();
    let pair = place.write("pair.pem", &pair);
    std::fs::set_permissions(pair, Permissions::from_mode(0o644)).unwrap();
    let script = place.write("start", START);
    let mut unshare = Command::new("unshare");
    // Whatever is started in it ends with it.
    unshare.args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "sh"]);
    unshare.arg(script).arg(place.path()).args(ports.map(|port| port.to_string())).arg(FOLDER);
    Some(Server::start(place, &mut unshare, ports, Kind::Courier))
}

const AUTHDAEMONRC: &str = "authmodulelist=authuserdb\nauthmodulelistorig=authuserdb\ndaemons=2\n\
                            authdaemonvar=/run/courier/authdaemon\nDEBUG_LOGIN=0\nDEFAULTOPTIONS=\nLOGGEROPTS=\n";

/// What Courier's own scripts do, without daemons that outlive us.
const START: &str = r#"
set -e
place=$1 clear=$2 tls=$3 courier=$4
mount --bind "$place/etc" /etc/courier
mount --bind "$place/run" /run/courier
chown courier:courier /run/courier/authdaemon
makeuserdb
set -a
. /etc/courier/authdaemonrc
/usr/lib/courier/courier-authlib/authdaemond &
while ! test -S /run/courier/authdaemon/socket; do sleep 0.02; done
POP3AUTH="PLAIN LOGIN" POP3AUTH_TLS="PLAIN LOGIN" POP3_STARTTLS=YES POP3_TLS_REQUIRED=0
COURIERTLS=/usr/bin/couriertls TLS_CERTFILE="$place/pair.pem" TLS_VERIFYPEER=NONE MAILDIRPATH=Maildir
tcpd="/usr/sbin/couriertcpd -address=127.0.0.1 -maxprocs=40 -maxperip=40 -nodnslookup -noidentlookup"
login="$courier/courierpop3login $courier/courierpop3d Maildir"
$tcpd "$clear" $login &
POP3_TLS=1 POP3_STARTTLS=NO
exec $tcpd "$tls" $COURIERTLS -server -tcpd $login
"#;

fn may_unshare() -> bool {
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc", "true"]);
    unshare.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A password as Courier has it in its users' file.
fn encrypted(password: &str) -> Option<String> {
    let Ok(output) = Command::new("openssl").args(["passwd", "-6", password]).output() else {
        return skip("Fetch at Courier", "there is no openssl to make a password for it");
    };
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}
