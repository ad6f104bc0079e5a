"""Fetches what it has not seen from a maildrop into files, one a message, by POP3."""

import argparse
import os

import connect


def main():
    """Fetches."""
    parser = argparse.ArgumentParser()
    parser.add_argument("server")
    parser.add_argument("folder")
    parser.add_argument("--seen", required=True, help="a file of unique-ids, one a line")
    parser.add_argument("--delete", action="store_true")
    connect.add_arguments(parser)
    arguments = parser.parse_args()
    seen = set()
    if os.path.exists(arguments.seen):
        with open(arguments.seen, "rb") as file:
            seen.update(file.read().splitlines())
    client = connect.pop3_login(arguments.server, arguments)
    count, total = client.stat()
    _, listing, _ = client.uidl()
    assert len(listing) == count, (listing, count)
    sizes = [int(line.split()[1]) for line in client.list()[1]]
    assert len(sizes) == count and sum(sizes) == total, (sizes, count, total)
    for line in listing:
        number, unique_id = line.split(maxsplit=1)
        if unique_id in seen:
            continue
        _, lines, _ = client.retr(int(number))
        message = b"".join(line + b"\r\n" for line in lines)
        assert len(message) == sizes[int(number) - 1], (number, len(message), sizes)
        with open(os.path.join(arguments.folder, number.decode()), "wb") as file:
            file.write(message)
        seen.add(unique_id)
        if arguments.delete:
            client.dele(int(number))
    client.quit()
    with open(arguments.seen, "wb") as file:
        file.writelines(unique_id + b"\n" for unique_id in seen)


main()
