"""What a fingerprint gives away of its wearer, measured; see ``docs/privacy.md``."""
