"""Sends a file by SMTP, or by LMTP where the server is a path, as it is."""

import argparse
import smtplib

import connect


def client(arguments):
    """A connection that has been greeted, and is under TLS as asked."""
    if "/" in arguments.server:
        lmtp = smtplib.LMTP(arguments.server, local_hostname="client.example.net")
        lmtp.ehlo_or_helo_if_needed()
        return lmtp
    host, port = connect.split(arguments.server)
    if arguments.tls == "at-once":
        tls = connect.context(arguments)
        return smtplib.SMTP_SSL(host, port, "client.example.net", timeout=50, context=tls)
    smtp = smtplib.SMTP(host, port, "client.example.net", timeout=50)
    if arguments.tls == "when-asked":
        smtp.starttls(context=connect.context(arguments))
    return smtp


def main():
    """Sends, or fails."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--sender", required=True)
    parser.add_argument("--recipient", required=True)
    parser.add_argument("file")
    connect.add_arguments(parser)
    arguments = parser.parse_args()
    with open(arguments.file, "rb") as file:
        message = file.read()
    with client(arguments) as smtp:
        if arguments.user:
            smtp.login(arguments.user, connect.password(arguments))
        smtp.sendmail(arguments.sender, [arguments.recipient], message, ["BODY=8BITMIME"])


main()
