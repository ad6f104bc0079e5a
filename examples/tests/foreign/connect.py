"""What the scripts share: the ways to reach the server that is tested."""

import imaplib
import poplib
import ssl

TLS = ("never", "when-asked", "at-once")


def add_arguments(parser):
    """Adds how to reach the server, and as whom."""
    parser.add_argument("--tls", choices=TLS, default="never")
    parser.add_argument("--cafile", help="the certificate to trust")
    parser.add_argument("--user")
    parser.add_argument("--password-file")


def password(arguments):
    """The password in the file."""
    with open(arguments.password_file, encoding="utf-8") as file:
        return file.read()


def context(arguments):
    """A TLS that trusts the one certificate, and looks at its names."""
    return ssl.create_default_context(cafile=arguments.cafile)


def split(address):
    """The host and the port in HOST:PORT."""
    host, port = address.rsplit(":", 1)
    return host, int(port)


def imap(address, arguments):
    """A connection to the IMAP server, not yet logged in."""
    host, port = split(address)
    if arguments.tls == "at-once":
        return imaplib.IMAP4_SSL(host, port, ssl_context=context(arguments), timeout=50)
    client = imaplib.IMAP4(host, port, timeout=50)
    if arguments.tls == "when-asked":
        client.starttls(context(arguments))
    return client


def imap_login(address, arguments):
    """A connection to the IMAP server, logged in."""
    client = imap(address, arguments)
    client.login(arguments.user, password(arguments))
    return client


def pop3(address, arguments):
    """A connection to the POP3 server, not yet logged in."""
    host, port = split(address)
    if arguments.tls == "at-once":
        return poplib.POP3_SSL(host, port, context=context(arguments), timeout=50)
    client = poplib.POP3(host, port, timeout=50)
    if arguments.tls == "when-asked":
        client.stls(context(arguments))
    return client


def pop3_login(address, arguments):
    """A connection to the POP3 server, logged in."""
    client = pop3(address, arguments)
    client.user(arguments.user)
    client.pass_(password(arguments))
    return client
