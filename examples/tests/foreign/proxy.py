"""Speaks for a client before TLS, which is forgotten, and then for another."""

import argparse
import smtplib

import connect


def expect(smtp, code, *words):
    """Says a command that must have this outcome."""
    outcome = smtp.docmd(*words)
    assert outcome[0] == code, (words, outcome)


def main():
    """Speaks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("server")
    parser.add_argument("--recipient", required=True)
    connect.add_arguments(parser)
    arguments = parser.parse_args()
    with smtplib.SMTP(*connect.split(arguments.server), "proxy.example.net", timeout=50) as smtp:
        smtp.ehlo()
        assert smtp.has_extn("xclient") and smtp.has_extn("xforward"), smtp.esmtp_features
        expect(smtp, 220, "XCLIENT", f"LOGIN={arguments.user} ADDR=203.0.113.5 HELO=first.example.net")
        smtp.ehlo()
        smtp.starttls(context=connect.context(arguments))
        smtp.ehlo()
        expect(smtp, 530, "MAIL", f"FROM:<{arguments.user}>")
        expect(smtp, 220, "XCLIENT", "HELO=second.example.net")
        smtp.ehlo()
        expect(smtp, 530, "MAIL", f"FROM:<{arguments.user}>")
        smtp.login(arguments.user, connect.password(arguments))
        smtp.sendmail(arguments.user, [arguments.recipient], b"S: 1\r\n\r\n")


main()
