"""Whom this process's own certificate names: daemons learn from it who they are, so that no file can say otherwise."""

from __future__ import annotations

from cryptography import x509

from federation.model.errors import InvalidRequest
from federation.runtime.identity_uri import Principal, parse
from federation.runtime.tls import TlsFiles


def own_principal(files: TlsFiles) -> Principal:
    """The principal in the certificate's one URI. Raises InvalidRequest that names the file."""
    _ca, cert, _key = files.read()
    try:
        names = x509.load_pem_x509_certificate(cert).extensions.get_extension_for_class(x509.SubjectAlternativeName)
        uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    except (ValueError, x509.ExtensionNotFound) as error:
        raise InvalidRequest(f"{files.cert} is not a certificate that names a member of a federation") from error
    if len(uris) != 1:
        raise InvalidRequest(f"{files.cert} carries {len(uris)} URIs; exactly one is needed")
    return parse(uris[0])
