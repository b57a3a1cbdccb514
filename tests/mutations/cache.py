"""What is remembered: whose, until when, and what makes it forgotten."""

from tests.mutations.defence import Defence, kept_by

CACHE = "app/core/caching/service.py"
LOADS = "app/core/caching/single_flight.py"
GROUPS = "app/core/caching/groups.py"
STORES = "app/core/caching/stores.py"
CHANGES = "app/core/db/changes.py"
IDENTITIES = "app/auth/identity_cache.py"
IDENTITY_TESTS = "integration/test_identity_cache"
CACHE_TESTS = "integration/test_cache"
VALUE_TESTS = "integration/test_cache_values"

CACHED = [
    Defence(
        "a change is told after its commit",
        "app/core/db/session.py",
        "            await subscriber(its_changes)\n",
        "            pass\n",
        kept_by(
            f"{IDENTITY_TESTS} test_what_ends_a_session_is_in_force_at_the_next_request",
            f"{CACHE_TESTS} test_ones_own_writes_are_seen_at_once",
        ),
    ),
    Defence(
        "what was remembered is forgotten before the answer",
        CACHE,
        "await self._store.renew(pending)",
        "pass",
        kept_by("conformance/test_cached test_what_is_remembered_is_ones_own_and_new"),
    ),
    Defence(
        "what Redis did not hear of is told when it answers",
        CACHE,
        "        except RedisAway:\n            self._catch_up()\n            return\n",
        "        except RedisAway:\n            return\n",
        kept_by(f"{CACHE_TESTS} test_a_change_that_redis_did_not_hear_of_is_told_when_it_answers"),
    ),
    Defence(
        "a value counts under its versions only",
        STORES,
        "return value if stored and head == versions else None",
        "return value if stored else None",
        kept_by(f"{VALUE_TESTS} test_what_was_read_before_a_change_is_not_found_after_it"),
    ),
    Defence(
        "one loads for all who wait",
        LOADS,
        "task = self._running.get(wanted)",
        "task = None",
        kept_by(f"{VALUE_TESTS} test_of_a_hundred_at_once_one_loads"),
    ),
    Defence(
        "who goes away takes nobody's value along",
        LOADS,
        "return await asyncio.shield(task)",
        "return await task",
        kept_by(f"{VALUE_TESTS} test_who_goes_away_does_not_take_the_others_value_along"),
    ),
    Defence(
        "several processes without Redis remember nothing",
        CACHE,
        "settings.web_concurrency == 1 and not settings.celery_broker_url",
        "True",
        kept_by(f"{CACHE_TESTS} test_several_processes_without_redis_remember_nothing"),
    ),
    Defence(
        "superusers ask the database",
        GROUPS,
        "if caller is None or caller.is_superuser:",
        "if caller is None:",
        kept_by("conformance/test_cached test_what_is_remembered_is_ones_own_and_new"),
    ),
    Defence(
        "what hangs on a deleted row is forgotten",
        GROUPS,
        "    return frozenset(found)\n",
        "    return frozenset()\n",
        kept_by(f"{CACHE_TESTS} test_what_goes_with_its_user_is_not_remembered"),
    ),
    Defence(
        "a list of several tables is not remembered",
        "app/core/caching/rows.py",
        " or tables != {model.__table__}",
        "",
        kept_by(f"{CACHE_TESTS} test_what_other_tables_have_a_part_in_is_not_remembered"),
    ),
    Defence(
        "who gave a row away is told, too",
        CHANGES,
        "*(unchanged or ()), *(deleted or ())",
        "*(unchanged or ())",
        kept_by(f"{CACHE_TESTS} test_every_way_of_writing_is_noticed"),
    ),
    Defence(
        "what was looked up before a change is not remembered after it",
        IDENTITIES,
        "if lookup.generation != self._generation or not self._seconds:",
        "if not self._seconds:",
        kept_by(f"{IDENTITY_TESTS} test_who_was_being_looked_up_while_it_changed_is_not_remembered"),
    ),
    Defence(
        "who signs in makes nobody forgotten",
        IDENTITIES,
        ' and kind != "insert"',
        "",
        kept_by(f"{IDENTITY_TESTS} test_signing_in_forgets_nobody"),
    ),
    Defence(
        "who is signed in is remembered for so long and no longer",
        IDENTITIES,
        " or time.monotonic() >= entry.until",
        "",
        kept_by(f"{IDENTITY_TESTS} test_another_process_hears_nothing_and_is_late_by_the_seconds_at_most"),
    ),
    Defence(
        "a token is not remembered beyond its end",
        IDENTITIES,
        "return None if entry.expires_at is not None and now >= entry.expires_at else entry.identity",
        "return entry.identity",
        kept_by(f"{IDENTITY_TESTS} test_a_token_is_not_remembered_beyond_its_own_end"),
    ),
]
