"""Reads a whole INBOX into files, one a message, as it comes over the wire."""

import argparse
import os

import connect


def by_imap(arguments):
    """Yields each message, and leaves it unseen."""
    client = connect.imap_login(arguments.server, arguments)
    status, _ = client.select("INBOX", readonly=True)
    assert status == "OK", status
    status, found = client.uid("SEARCH", "ALL")
    assert status == "OK", status
    for uid in found[0].split():
        status, answer = client.uid("FETCH", uid, "(BODY.PEEK[])")
        assert status == "OK" and len(answer) == 2, answer
        yield answer[0][1]
    client.logout()


def by_pop3(arguments):
    """Yields each message, and deletes none."""
    client = connect.pop3_login(arguments.server, arguments)
    count, _ = client.stat()
    for number in range(1, count + 1):
        _, lines, octets = client.retr(number)
        message = b"".join(line + b"\r\n" for line in lines)
        assert octets >= len(message), (octets, len(message))
        yield message
    client.quit()


def main():
    """Reads."""
    parser = argparse.ArgumentParser()
    parser.add_argument("protocol", choices=("imap", "pop3"))
    parser.add_argument("server")
    parser.add_argument("folder")
    connect.add_arguments(parser)
    arguments = parser.parse_args()
    read = {"imap": by_imap, "pop3": by_pop3}[arguments.protocol]
    for number, message in enumerate(read(arguments)):
        with open(os.path.join(arguments.folder, str(number)), "wb") as file:
            file.write(message)


main()
