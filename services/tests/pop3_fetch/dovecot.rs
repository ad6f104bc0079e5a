//! Debian's Dovecot (dovecot-pop3d).

use std::path::Path;
use std::process::Command;

use crate::server::{Kind, PASSWORD, Place, Server, USER, free_ports, is_root, skip};

const PROGRAM: &str = "/usr/sbin/dovecot";
const POP3: &str = "/usr/lib/dovecot/pop3";

/// `None`, and word of it, where there is none.
pub(crate) fn start() -> Option<Server> {
    if !Path::new(PROGRAM).exists() || !Path::new(POP3).exists() {
        return skip("Fetch at Dovecot", "it is not installed (Debian: dovecot-pop3d)");
    }
    if !is_root() {
        return skip("Fetch at Dovecot", "only root can start it");
    }
    let place = Place::new();
    let [clear, tls] = free_ports();
    let users = place.write("users", &format!("{USER}:{{PLAIN}}{PASSWORD}::::::\n"));
    let config = format!(
        "protocols = pop3\nlisten = 127.0.0.1\nbase_dir = {root}/run\nstate_dir = {root}/state\ninstance_name = {clear}\n\
         log_path = /dev/stderr\nmail_location = maildir:{maildir}\nfirst_valid_uid = 100\n\
         ssl = yes\nssl_cert = <{certificate}\nssl_key = <{key}\n\
         disable_plaintext_auth = no\nauth_mechanisms = plain login apop\nauth_failure_delay = 0\n\
         passdb {{\n  driver = passwd-file\n  args = {users}\n}}\n\
         userdb {{\n  driver = static\n  args = uid=nobody gid=nogroup home={home}\n}}\n\
         service auth {{\n  user = root\n}}\n\
         service anvil {{\n  unix_listener anvil-auth-penalty {{\n    mode = 0\n  }}\n}}\n\
         service stats {{\n  inet_listener http {{\n    port = 0\n  }}\n}}\n\
         service pop3-login {{\n  inet_listener pop3 {{\n    port = {clear}\n  }}\n  \
         inet_listener pop3s {{\n    port = {tls}\n  }}\n}}\n",
        root = place.path().display(),
        maildir = place.maildir().display(),
        home = place.home().display(),
        certificate = place.certificate().display(),
        key = place.key().display(),
        users = users.display(),
    );
    let config = place.write("dovecot.conf", &config);
    let mut dovecot = Command::new(PROGRAM);
    dovecot.arg("-F").arg("-c").arg(config);
    Some(Server::start(place, &mut dovecot, [clear, tls], Kind::Dovecot))
}
