"""Registered versions: evidence, the gate, the champion, the audit."""
