"""Keeps order in mailboxes as an IMAP client does: flags, copies, moves, deletions, names, and IDLE."""

import argparse
import imaplib
import re
import smtplib

import connect

MESSAGE = b"From: a@example.net\r\nSubject: %s\r\n\r\n.\r\n..\r\ntext\r\n\r\n"


def ok(answer):
    """The data of an answer, which must be OK."""
    status, data = answer
    assert status == "OK", (status, data)
    return data


def uids(client, what="ALL"):
    """The numbers of the messages that are so."""
    return [int(uid) for uid in ok(client.uid("SEARCH", what))[0].split()]


def flags(client, uid):
    """The flags of a message, without \\Recent."""
    answer = ok(client.uid("FETCH", str(uid), "(FLAGS)"))[0]
    return {flag.decode() for flag in imaplib.ParseFlags(answer)} - {"\\Recent"}


def names(client):
    """The names of all mailboxes."""
    lines = [line.decode() for line in ok(client.list())]
    return {re.fullmatch(r'\(.*\) (?:".+"|NIL) "?(.*?)"?', line).group(1) for line in lines}


def append(client, mailbox, subject, flags_given=None):
    """Appends a message, and gives its UID as the server tells it."""
    data = ok(client.append(mailbox, flags_given, None, MESSAGE % subject))
    return int(re.search(rb"\[APPENDUID \d+ (\d+)\]", data[0]).group(1))


def response(client, code):
    """The numbers in a response code of the last command, without UIDVALIDITY."""
    _, (data,) = client.response(code)
    return [part.decode() for part in data.split()[1:]]


def test_flags(client):
    """Sets, adds and removes, and finds by them."""
    ok(client.select("INBOX"))
    uid = append(client, "INBOX", b"flags", "(\\Seen $Label)")
    ok(client.noop())
    assert flags(client, uid) == {"\\Seen", "$Label"}, flags(client, uid)
    ok(client.uid("STORE", str(uid), "+FLAGS", "(\\Flagged)"))
    ok(client.uid("STORE", str(uid), "-FLAGS.SILENT", "(\\Seen)"))
    assert flags(client, uid) == {"\\Flagged", "$Label"}, flags(client, uid)
    ok(client.uid("STORE", str(uid), "FLAGS", "(\\Answered)"))
    assert flags(client, uid) == {"\\Answered"}, flags(client, uid)
    assert uids(client, "ANSWERED") == [uid] and uid not in uids(client, "FLAGGED")
    # To read is to see.
    ok(client.uid("FETCH", str(uid), "(BODY[TEXT])"))
    assert flags(client, uid) == {"\\Answered", "\\Seen"}, flags(client, uid)


def test_copy_move_delete(client):
    """Copies, moves and expunges, and is told the new numbers."""
    ok(client.create("Work"))
    ok(client.select("INBOX"))
    before = uids(client)
    first, second = append(client, "INBOX", b"first"), append(client, "INBOX", b"second")
    ok(client.noop())
    ok(client.uid("STORE", str(first), "+FLAGS", "(\\Flagged)"))
    ok(client.uid("COPY", str(first), "Work"))
    source, copied = response(client, "COPYUID")
    assert int(source) == first, source
    ok(client.uid("MOVE", str(second), "Work"))
    assert uids(client) == before + [first], uids(client)
    ok(client.uid("STORE", str(first), "+FLAGS", "(\\Deleted)"))
    ok(client.expunge())
    assert uids(client) == before, uids(client)
    ok(client.select("Work"))
    assert len(uids(client)) == 2 and uids(client)[0] == int(copied)
    assert flags(client, int(copied)) == {"\\Flagged"}, flags(client, int(copied))
    text = ok(client.uid("FETCH", str(uids(client)[1]), "(BODY.PEEK[])"))[0][1]
    assert text == MESSAGE % b"second", text


def test_names(client):
    """Renames with what is below, deletes, subscribes; names of all scripts."""
    for name in ("Projects", "Projects/&ZeVnLIqe-", '"Two words"'):
        ok(client.create(name))
    assert {"Projects", "Projects/&ZeVnLIqe-", "Two words"} <= names(client), names(client)
    append(client, "Projects/&ZeVnLIqe-", b"below")
    ok(client.rename("Projects", "Archive"))
    assert {"Archive", "Archive/&ZeVnLIqe-"} <= names(client) and "Projects" not in names(client)
    assert b"MESSAGES 1" in ok(client.status("Archive/&ZeVnLIqe-", "(MESSAGES)"))[0]
    ok(client.subscribe("Archive"))
    assert any(b"Archive" in line for line in ok(client.lsub()))
    ok(client.unsubscribe("Archive"))
    ok(client.delete("Archive/&ZeVnLIqe-"))
    ok(client.delete('"Two words"'))
    status, _ = client.create("INBOX")
    assert status == "NO", "INBOX was created"
    status, _ = client.select("nowhere")
    assert status == "NO", "a mailbox that is not there was selected"


def wait_for(client, pattern):
    """Reads lines until one is so."""
    while True:
        line = client.readline()
        assert line, "the server hung up"
        if re.match(pattern, line):
            return line


def test_idle(client, other, arguments):
    """Is told of all that others do, while it says nothing."""
    ok(client.select("INBOX"))
    count = len(uids(client))
    tag = client._new_tag()
    client.send(tag + b" IDLE\r\n")
    wait_for(client, rb"\+ ")
    ok(other.select("INBOX"))
    uid = append(other, "INBOX", b"news")
    wait_for(client, rb"\* %d EXISTS\r\n" % (count + 1))
    ok(other.uid("STORE", str(uid), "+FLAGS", "(\\Flagged)"))
    wait_for(client, rb"\* %d FETCH \(.*\\Flagged" % (count + 1))
    ok(other.uid("STORE", str(uid), "+FLAGS", "(\\Deleted)"))
    ok(other.expunge())
    wait_for(client, rb"\* %d EXPUNGE\r\n" % (count + 1))
    if arguments.smtp:
        with smtplib.SMTP(*connect.split(arguments.smtp), "client.example.net") as smtp:
            smtp.sendmail("a@example.net", [arguments.user], MESSAGE % b"by SMTP")
        wait_for(client, rb"\* %d EXISTS\r\n" % (count + 1))
    client.send(b"DONE\r\n")
    wait_for(client, tag + b" OK")


def main():
    """Runs all, in one session."""
    parser = argparse.ArgumentParser()
    parser.add_argument("server")
    parser.add_argument("--smtp")
    connect.add_arguments(parser)
    arguments = parser.parse_args()
    client = connect.imap_login(arguments.server, arguments)
    other = connect.imap_login(arguments.server, arguments)
    test_flags(client)
    test_copy_move_delete(client)
    test_names(client)
    test_idle(client, other, arguments)
    for session in (client, other):
        session.logout()


main()
