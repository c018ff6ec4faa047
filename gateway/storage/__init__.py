"""Where sealed objects live: a local folder, any S3, or memory. Ciphertext in, ciphertext out.

* An object is created once and never overwritten. The same bytes again change nothing; other bytes are refused.
* After ``put`` returned, the object is durable. Before that it is not there at all: nobody reads half of it.
* Keys are paths with ``/``; no part is empty or begins with a dot, so that no key leads out of where it belongs.
"""

from gateway.storage.port import Storage, StoredObject, check_key

__all__ = ["Storage", "StoredObject", "check_key"]
