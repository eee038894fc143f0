"""The screens of Setup Assistant: Apple's skip keys, with what each asks and who knows it.

Source: Apple's device-management schema, `other/skipkeys.yaml` (August 2026), and for Registration,
ExpressLanguage and PreferredLanguage, which stand in the service's reference or in other consoles only,
those. The names of the usual ones are those that administrators know from other consoles.
"""

from bot.backend.profile import Platform, SetupScreen

_LETTERS = {"i": Platform.IOS, "m": Platform.MACOS, "t": Platform.TVOS, "v": Platform.VISIONOS}


def _screen(
    key: str,
    title: str,
    asks: str,
    since: str,
    *,
    until: str = "",
    usual: bool = False,
    may_still_show: bool = False,
    kiosk: bool = True,
) -> SetupScreen:
    """`since` is such as "i7.0 m10.9": iOS from 7.0, macOS from 10.9."""
    versions = {_LETTERS[word[0]]: word[1:] for word in since.split()}
    return SetupScreen(
        key,
        title,
        asks,
        versions,
        until=until,
        may_still_show=may_still_show,
        is_usual=usual,
        for_kiosk=kiosk,
    )


_USUAL = (
    _screen("Passcode", "Passcode", "asks for a passcode", "i7.0 m10.9 v26.0", usual=True),
    _screen(
        "Location",
        "Location Services",
        "whether apps may see the place",
        "i7.0 m10.11 t10.2 v26.0",
        usual=True,
        kiosk=False,
    ),
    _screen("Restore", "Restore", "restore from a backup", "i7.0 m10.9", usual=True),
    _screen(
        "AppleID",
        "Apple ID and iCloud",
        "sign in with an Apple Account",
        "i7.0 m10.9 t10.2 v26.0",
        usual=True,
    ),
    _screen("TOS", "Terms and conditions", "accept Apple's terms", "i7.0 m10.9 t10.2 v26.0", usual=True),
    _screen("Biometric", "Touch ID", "register finger or face", "i8.1 m10.12.4 v26.0", usual=True),
    _screen("Payment", "Apple Pay", "add a payment card", "i8.1 m10.12.4 v26.0", usual=True),
    _screen("Zoom", "Zoom", "size of the display", "i8.3 v26.0", until="iOS 17", usual=True),
    _screen("Siri", "Siri", "whether to use Siri", "i7.0 m10.12 t10.2 v26.0", usual=True),
    _screen("Diagnostics", "Diagnostics Data", "send usage data", "i7.0 m10.9 t10.2 v26.0", usual=True),
    _screen(
        "DisplayTone",
        "Display Tone",
        "True Tone display",
        "i9.3.2 m10.13.6",
        until="iOS 15, macOS 12",
        usual=True,
    ),
    _screen("Privacy", "Privacy", "reads Data & Privacy", "i11.3 m10.13.4 t11.3 v26.0", usual=True),
    _screen("Android", "Android migration", "move data from Android", "i9.0", usual=True),
    _screen("iMessageAndFaceTime", "iMessage & FaceTime", "set up messages and calls", "i12.0", usual=True),
    _screen("OnBoarding", "Onboarding", "reads what is new", "i11.0", until="iOS 14", usual=True),
    _screen("WatchMigration", "Watch migration", "move an Apple Watch", "i11.0", usual=True),
    _screen("ScreenTime", "Screen time", "whether to use Screen Time", "i12.0 m10.15 v26.0", usual=True),
    _screen(
        "SoftwareUpdate",
        "Software update",
        "install a required update",
        "i12.0 m15.4 v26.0",
        usual=True,
        kiosk=False,
    ),
    _screen("SIMSetup", "SIM setup", "add a mobile plan or eSIM", "i12.0", usual=True, kiosk=False),
    _screen("Appearance", "Appearance", "light or dark", "i13.0 m10.14", usual=True),
    _screen("ExpressLanguage", "Express language", "language, quickly", "i13.0", usual=True),
    _screen("PreferredLanguage", "Preferred language", "order of languages", "i13.0", usual=True),
    _screen(
        "DeviceToDeviceMigration",
        "Device to device migration",
        "move data from a device",
        "i12.4",
        usual=True,
    ),
)

_MORE = (
    _screen("Accessibility", "Accessibility", "for users added later", "m11.0", may_still_show=True),
    _screen("AccessibilityAppearance", "Accessibility appearance", "contrast and text size", "i17.0"),
    _screen("ActionButton", "Action button", "what the action button does", "i17.0"),
    _screen("AppStore", "App Store", "reads about the App Store", "i14.3 m11.1"),
    _screen("CameraButton", "Camera Control", "reads about the camera button", "i18.0"),
    _screen("EnableLockdownMode", "Lockdown Mode", "whether to lock down", "i17.1 m14.0"),
    _screen("FileVault", "FileVault", "encrypt the disk", "m10.10", kiosk=False),
    _screen("HomeButtonSensitivity", "Home button", "how the home button feels", "i10.0", until="iOS 15"),
    _screen("iCloudDiagnostics", "iCloud analytics", "send iCloud usage data", "m10.12.4"),
    _screen("iCloudStorage", "iCloud storage", "Documents and Desktop in iCloud", "m10.13.4"),
    _screen("Intelligence", "Apple Intelligence", "whether to use Intelligence", "i18.0 m15.0 v26.0"),
    _screen("Keyboard", "Keyboard", "choose keyboards", "i13.0", may_still_show=True),
    _screen("LiquidGlass", "Liquid Glass", "look of Liquid Glass", "i27.0 m27.0"),
    _screen("MessagingActivationUsingPhoneNumber", "iMessage activation", "use the phone number", "i10.0"),
    _screen("Multitasking", "Multitasking", "how windows behave", "i26.0"),
    _screen("OSShowcase", "What is new", "reads what is new", "i26.0 m26.1"),
    _screen("Registration", "Registration", "register with Apple", "m10.9"),
    _screen("RestoreCompleted", "Restore completed", "says that it was restored", "i14.0"),
    _screen("Safety", "Safety", "reads about safety features", "i16.0"),
    _screen(
        "SafetyAndHandling", "Safety and handling", "reads how to handle it", "i18.4", may_still_show=True
    ),
    _screen("ScreenSaver", "Screen saver", "aerial screen savers", "t10.2"),
    _screen("SpokenLanguage", "Dictation", "languages to dictate in", "i13.0", may_still_show=True),
    _screen(
        "TapToSetup",
        "Tap to set up",
        "set up with an iPhone near it",
        "t10.2",
        may_still_show=True,
        kiosk=False,
    ),
    _screen("TermsOfAddress", "Terms of address", "how to be addressed", "i16.0 m13.0", may_still_show=True),
    _screen("Tips", "Tips", "reads tips", "v26.0"),
    _screen("TVHomeScreenSync", "TV home screen", "same home screen on all", "t11.0"),
    _screen("TVProviderSignIn", "TV provider", "sign in to a TV provider", "t11.0"),
    _screen("TVRoom", "Room", "which room it is in", "t11.4", kiosk=False),
    _screen("UnlockWithWatch", "Unlock with Apple Watch", "unlock by the watch", "m15.0"),
    _screen("UpdateCompleted", "Update completed", "says that it was updated", "i14.0 m26.1"),
    _screen("Wallpaper", "Wallpaper", "choose a wallpaper", "m14.1", until="macOS 26"),
    _screen("WebContentFiltering", "Web content filtering", "filter websites", "i18.2", until="iOS 26.1"),
    _screen("Welcome", "Welcome", "says Get Started", "i13.0 m15.0 v26.0"),
)

APPLE_SCREENS: tuple[SetupScreen, ...] = _USUAL + _MORE
