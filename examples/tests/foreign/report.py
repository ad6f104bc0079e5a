"""Prints what Python's email package finds in a report: its type, its parts, and the fields of each group, in lines.

A defect that the package finds anywhere in it ends this with an error.
"""

import email
import email.policy
import sys

with open(sys.argv[1], "rb") as file:
    report = email.message_from_binary_file(file, policy=email.policy.default)

defects = [defect for part in report.walk() for defect in part.defects]
if defects:
    sys.exit(f"defects: {defects}")
print("type", report.get_content_type(), report.get_param("report-type"))
print("from", report["Return-Path"], "to", report["To"])
for number, part in enumerate(report.iter_parts()):
    print("part", part.get_content_type())
    if number == 2:
        returned = part.get_payload(0) if part.is_multipart() else email.message_from_string(part.get_content())
        print("returned", returned["Subject"], len(returned.get_payload()))
    if part.get_content_type() != "message/delivery-status":
        continue
    message, *recipients = part.get_payload()
    for name, text in message.items():
        print("message", f"{name}: {text}")
    for number, recipient in enumerate(recipients):
        for name, text in recipient.items():
            print("recipient", number, f"{name}: {text}")
