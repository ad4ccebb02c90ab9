"""The certificate for HTTPS, tried before anything is loaded."""

from __future__ import annotations

import ssl

from service.errors import CertificateUnusable
from service.settings import Settings


def check_certificate(settings: Settings) -> None:
    """Read the files as the server will.

    Raises:
        CertificateUnusable: one is missing, or they do not belong together.
    """
    certificate, key = settings.ssl_certfile, settings.ssl_keyfile
    if certificate is None:
        if key or settings.ssl_ca_certs:
            raise CertificateUnusable("there is none; --ssl-certfile names it")
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    password = settings.ssl_keyfile_password or ""
    try:
        for path in filter(None, (certificate, key, settings.ssl_ca_certs)):
            path.read_bytes()
        # An empty password, for otherwise OpenSSL asks the terminal.
        context.load_cert_chain(certificate, key, password)
        if settings.ssl_ca_certs:
            context.load_verify_locations(settings.ssl_ca_certs)
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise CertificateUnusable(reason) from error
