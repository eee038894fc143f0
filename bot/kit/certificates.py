"""What reading a certificate from outside may raise."""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

#: `InvalidVersion` is no ValueError: https://cryptography.io/en/latest/x509/reference/
UNREADABLE = (ValueError, UnsupportedAlgorithm, x509.InvalidVersion)
