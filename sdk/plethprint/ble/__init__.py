"""Bluetooth Low Energy: protocols of wearables and the link to them.

Nothing here is imported by ``import plethprint``; the codecs need numpy alone.
"""
