"""An OpenID Connect provider as far as a resource server meets it: its keys, and the tokens that it signs."""

import json
from pathlib import Path
from time import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISSUER = "https://login.example.org/realms/bank"
AUDIENCE = "hrm-serve"


class Provider:
    """Signs tokens with an RSA and an EC key; `turn` replaces the first by another."""

    def __init__(self) -> None:
        self.rsa: RSAPrivateKey = generate_rsa(65537, 2048)
        self.ec = generate_ec(SECP256R1())
        self.kid = "rsa-1"

    def turn(self, kid: str) -> None:
        """Sign with a new key from now on."""
        self.rsa, self.kid = generate_rsa(65537, 2048), kid

    def jwks(self) -> bytes:
        """The public keys, as they are published."""
        rsa = RSAAlgorithm.to_jwk(self.rsa.public_key(), as_dict=True)
        ec = ECAlgorithm.to_jwk(self.ec.public_key(), as_dict=True)
        keys = [rsa | {"kid": self.kid, "use": "sig", "alg": "RS256"}, ec | {"kid": "ec-1"}]
        return json.dumps({"keys": keys}).encode()

    def publish(self, file: Path) -> Path:
        """Put the public keys into a file, in one step."""
        new = file.with_suffix(".new")
        new.write_bytes(self.jwks())
        return new.replace(file)

    def token(self, sub: str = "anna", *groups: str, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """A sound token; a claim that is given as None is left out."""
        said = claims_for(sub, *groups) | claims
        given = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(given, self.rsa, algorithm="RS256", headers={"kid": self.kid, **(headers or {})})


def claims_for(sub: str, *groups: str) -> dict[str, Any]:
    """What a sound token says."""
    now = int(time())
    return {"iss": ISSUER, "aud": AUDIENCE, "sub": sub, "iat": now, "exp": now + 300, "groups": list(groups)}
