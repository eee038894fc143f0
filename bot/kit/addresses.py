"""What an address says of where it leads."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Say whether a host's name or address is this machine itself; a name is not looked up."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    # A server that listens on :: sees IPv4 callers as ::ffff:127.0.0.1.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
