"""Tries what must not work: wrong passwords, passwords in the open, mail for strangers."""

import argparse
import imaplib
import poplib
import smtplib
import ssl

import connect

HELLO = "client.example.net"


def refused(errors, attempt, *words):
    """The error of an attempt that must fail."""
    try:
        attempt(*words)
    except errors as error:
        return error
    raise AssertionError(f"{attempt.__name__} {words} was not refused")


def test_passwords(arguments, tls):
    """A wrong password, and a right one for somebody else, do not do."""
    right = connect.password(arguments)
    for user, wrong in ((arguments.user, right + "x"), (arguments.user, ""), ("nobody@example.org", right)):
        with smtplib.SMTP_SSL(*connect.split(arguments.submissions), HELLO, context=tls) as smtp:
            error = refused(smtplib.SMTPAuthenticationError, smtp.login, user, wrong)
            assert error.smtp_code == 535, error
            code, _ = smtp.mail("a@example.org")
            assert code == 530, code
        imap = imaplib.IMAP4_SSL(*connect.split(arguments.imaps), ssl_context=tls)
        refused(imaplib.IMAP4.error, imap.login, user, wrong)
        imap.logout()
        pop3 = poplib.POP3_SSL(*connect.split(arguments.pop3s), context=tls)
        pop3.user(user)
        refused(poplib.error_proto, pop3.pass_, wrong)
        pop3.close()


def test_passwords_in_the_open(arguments):
    """Before TLS the right password is refused, and not even asked for."""
    right = connect.password(arguments)
    with smtplib.SMTP(*connect.split(arguments.submission), HELLO) as smtp:
        smtp.ehlo()
        assert not smtp.has_extn("auth") and smtp.has_extn("starttls"), smtp.esmtp_features
        smtp.esmtp_features["auth"] = "PLAIN LOGIN"
        refused(smtplib.SMTPException, smtp.login, arguments.user, right)
    imap = imaplib.IMAP4(*connect.split(arguments.imap))
    assert "LOGINDISABLED" in imap.capabilities and "STARTTLS" in imap.capabilities, imap.capabilities
    refused(imaplib.IMAP4.error, imap.login, arguments.user, right)
    imap.logout()
    pop3 = poplib.POP3(*connect.split(arguments.pop3))
    capabilities = pop3.capa()
    assert "STLS" in capabilities and "USER" not in capabilities, capabilities
    refused(poplib.error_proto, pop3.user, arguments.user)
    pop3.close()


def test_strangers(arguments, tls):
    """Nobody gets mail to strangers, and nobody at all gets it to users who are not there."""
    strangers = (
        "stranger@example.net",
        "nobody@example.org",
        "stranger%example.net@example.org",
        '"stranger@example.net"@example.org',
        "example.net!stranger@example.org",
        "@example.org:stranger@example.net",
        "stranger@[127.0.0.1]",
        "stranger",
    )
    with smtplib.SMTP(*connect.split(arguments.smtp), HELLO) as smtp:
        for stranger in strangers:
            smtp.ehlo()
            code, text = smtp.docmd("MAIL", "FROM:<alice@example.org>")
            assert code == 250, (code, text)
            code, text = smtp.docmd("RCPT", f"TO:<{stranger}>")
            assert 500 <= code < 600, (stranger, code, text)
            code, text = smtp.docmd("DATA")
            assert 500 <= code < 600, (stranger, code, text)
            smtp.rset()
    with smtplib.SMTP(*connect.split(arguments.submission), HELLO) as smtp:
        smtp.starttls(context=tls)
        smtp.ehlo()
        code, _ = smtp.mail("alice@example.org")
        assert code == 530, code
        smtp.login(arguments.user, connect.password(arguments))
        error = refused(smtplib.SMTPRecipientsRefused, smtp.sendmail, arguments.user, strangers[:1], b"A: b\r\n\r\n")
        assert error.recipients[strangers[0]][0] // 100 == 5, error.recipients


def main():
    """Tries."""
    parser = argparse.ArgumentParser()
    for service in ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s"):
        parser.add_argument(f"--{service}", required=True)
    connect.add_arguments(parser)
    arguments = parser.parse_args()
    tls = ssl.create_default_context(cafile=arguments.cafile)
    test_passwords_in_the_open(arguments)
    test_strangers(arguments, tls)
    test_passwords(arguments, tls)


main()
