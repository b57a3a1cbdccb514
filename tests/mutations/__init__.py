"""Whether the tests notice when a defence is missing: `python -m tests.mutations`, or `make mutate`.

The table is held together with the code by tests/e2e/test_mutations.py.
"""

from tests.mutations.access import ACCESS
from tests.mutations.accounts import ACCOUNTS
from tests.mutations.admin import ADMIN
from tests.mutations.cache import CACHED
from tests.mutations.deployment import DEPLOYMENT
from tests.mutations.lifecycle import LIFECYCLE
from tests.mutations.observation import OBSERVATION
from tests.mutations.requests import REQUESTS
from tests.mutations.storage import STORAGE

DEFENCES = [*ACCESS, *ACCOUNTS, *ADMIN, *CACHED, *DEPLOYMENT, *LIFECYCLE, *OBSERVATION, *REQUESTS, *STORAGE]
