"""What holds for all tests: no test fails for being slow on a busy machine."""

from hypothesis import settings

settings.register_profile("foldwise", deadline=None)
settings.load_profile("foldwise")
