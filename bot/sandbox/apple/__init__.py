"""The other side: a stand-in for Apple that keeps state and refuses what Apple refuses."""

from bot.sandbox.apple.faults import Fault, Faults, Logged, RequestLog, Switches, Trouble
from bot.sandbox.apple.refusals import NotInBusinessManager, NotPossible
from bot.sandbox.apple.stand_in import AppleStandIn, serve
from bot.sandbox.apple.state import Credentials, Organisation, Profile, Server

__all__ = [
    "AppleStandIn",
    "Credentials",
    "Fault",
    "Faults",
    "Logged",
    "NotInBusinessManager",
    "NotPossible",
    "Organisation",
    "Profile",
    "RequestLog",
    "Server",
    "Switches",
    "Trouble",
    "serve",
]
