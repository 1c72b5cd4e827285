"""A mail server for tests: `smtp_server.py PORT FOLDER [tls] [auth]`. It writes each mail as a line of JSON."""

import asyncio
import email
import email.policy
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

port, folder, options = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
postponed = set()


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address.startswith("refused"):
            return "550 5.1.1 <%s> is unknown here" % address
        if address.startswith("later") and address not in postponed:
            postponed.add(address)
            return "451 4.7.1 <%s> has to wait" % address
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        mail = {
            "to": envelope.rcpt_tos,
            "from": envelope.mail_from,
            "header_from": str(message["From"]),
            "subject": str(message["Subject"]),
            "auto_submitted": str(message["Auto-Submitted"]),
            "text": message.get_content(),
            "tls": session.ssl is not None,
            "user": session.auth_data.login.decode() if session.auth_data else None,
        }
        with open(os.path.join(folder, "mails"), "a") as mails:
            mails.write(json.dumps(mail) + "\n")
        return "250 OK"


def authenticator(server, session, envelope, mechanism, data):
    good = data.login == b"larder" and data.password == b"a mail password"
    return AuthResult(success=good, auth_data=data, handled=good)


async def main():
    context = None
    if "tls" in options:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem"))
    auth = "auth" in options
    loop = asyncio.get_running_loop()

    def connection():
        return SMTP(
            Handler(),
            hostname="localhost",
            tls_context=context,
            require_starttls=context is not None,
            auth_required=auth,
            auth_require_tls=context is not None,
            authenticator=authenticator if auth else None,
            loop=loop,
        )

    server = await loop.create_server(connection, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


asyncio.run(main())
