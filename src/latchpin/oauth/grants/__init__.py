"""What the token endpoint gives tokens for, by `grant_type`.

A grant that uses something up is given the session of the caller's transaction. It returns its answer, or the refusal to raise after the
commit: what had to outlive a refusal, as the end of a family of tokens, is committed then. What it raises undoes everything.

`client_credentials` and token exchange find most of their grants in memory and write nothing, so they open a transaction themselves where
they do: for the first token of an app or a key.
"""
