"""`foldserve serve`: take the ports, then serve in this process or in several."""

from __future__ import annotations

import sys

from service import logs
from service.server.signals import leave_at_once
from service.server.sockets import places
from service.server.tls import check_certificate
from service.settings import Settings


def run(settings: Settings, *, check_only: bool = False, quiet: bool = False) -> None:
    """Serve until SIGINT or SIGTERM; requests in flight are finished first. Say what is served, and where.

    Raises:
        AddressUnavailable: nothing can listen there.
        CertificateUnusable: HTTPS cannot be spoken with these files.
        RuntimeMissing, DeviceUnavailable, UnknownModel: the application cannot be made.
        WorkerFailed: the same, in a worker.
    """
    leave_at_once()
    if quiet and settings.log_level != "error":
        settings = settings.model_copy(update={"log_level": "warning"})
    logs.configure(settings.log_level, settings.log_format)
    say = _keep_silent if quiet else _say
    check_certificate(settings)
    with places(settings) as (settings, listeners):
        # Imported where they are needed: a supervisor holds neither the application nor onnxruntime.
        if not check_only and settings.workers > 1:
            from service.server.supervisor import supervise

            supervise(settings, listeners, say)
            return
        from service.server import process

        if check_only:
            say(process.check(settings))
        else:
            process.serve(settings, listeners[0], say)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _keep_silent(_: str) -> None:
    pass
