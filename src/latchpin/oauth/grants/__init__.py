"""What the token endpoint gives tokens for, by `grant_type`.

A grant type that uses something up gets the session of the caller's transaction. It returns its response, or the error to raise after the
commit: changes that must survive the error, such as the end of a token family, are committed. What it raises rolls all back.

`client_credentials` and token exchange find most of their grants in memory and write nothing, so they open a transaction themselves where
they do: for the first token of an app or a key.
"""
