"""Who may do what: ownership, policies, tokens and sessions."""

from tests.mutations.defence import Defence, kept_by

OWNERSHIP = "app/core/ownership.py"
SECURITY = "app/core/security.py"
CALLER = "app/auth/dependencies.py"

ACCESS = [
    Defence(
        "another's row is refused",
        OWNERSHIP,
        'raise Forbidden("Not authorized to access this resource")',
        "return",
        kept_by("conformance/test_matrix test_others"),
    ),
    Defence(
        "another's row is not read",
        OWNERSHIP,
        "    if not model.public_read:\n        require_owner(caller, row)\n",
        "",
        kept_by("conformance/test_matrix test_others", "integration/test_items test_anothers_item_is_403_in_words"),
    ),
    Defence(
        "another's row is not locked and changed",
        OWNERSHIP,
        "        raise _not_found(model)\n    require_owner(caller, row)",
        "        raise _not_found(model)",
        kept_by("conformance/test_matrix test_others"),
    ),
    Defence(
        "superusers go through",
        OWNERSHIP,
        "if not is_own and not (caller is not None and caller.is_superuser):",
        "if not is_own:",
        kept_by("conformance/test_matrix test_owners_and_superusers"),
    ),
    Defence(
        "a list holds one's own rows",
        OWNERSHIP,
        "of(statement.where(model.user_id == caller.id))",
        "of(statement)",
        kept_by("conformance/test_matrix test_lists"),
    ),
    Defence(
        "a list's page holds one's own rows",
        "app/core/lists/statements.py",
        "statement = statement.where(model.user_id == bindparam(OWNER))",
        "pass",
        kept_by("conformance/test_matrix test_lists"),
    ),
    Defence(
        "what a list was narrowed to is kept",
        "app/core/lists/statements.py",
        " or not scope.is_whole(statement)",
        "",
        kept_by("integration/test_lists test_an_endpoint_may_narrow_a_list"),
    ),
    Defence(
        "nobody sees rows that are not public",
        OWNERSHIP,
        "return statement.where(false())",
        "return statement",
        kept_by("conformance/test_it_bites test_showing_nothing_to_everybody"),
    ),
    Defence(
        "one refers only to what one may see",
        OWNERSHIP,
        "            if found is None:",
        "            if False:",
        kept_by("conformance/test_it_bites test_a_reference_that_is_looked_at_passes"),
    ),
    Defence(
        "a locked row stays as it is",
        OWNERSHIP,
        "_by_id(model, *parents).with_for_update()",
        "_by_id(model, *parents)",
        kept_by("integration/test_transactions test_of_racing_puts_with_one_etag_one_wins"),
        backend="postgresql",
    ),
    Defence(
        "an entity's id that no row can have is not looked for",
        OWNERSHIP,
        "return all(not isinstance(value, int) or 0 < value <= MAX_INTEGER for value in (row_id, *parent.values()))",
        "return True",
        kept_by("integration/test_items test_an_id_that_no_row_can_have_is_404"),
    ),
    Defence(
        "an account's id that no row can have is not looked for",
        "app/core/db/base.py",
        "return not isinstance(value, int) or 0 < value <= largest",
        "return True",
        kept_by("integration/test_items test_an_id_that_no_row_can_have_is_404"),
    ),
    Defence(
        "a route that says nothing keeps the application from starting",
        "app/core/routing.py",
        "if not is_declared(endpoint, self.dependant):",
        "if False:",
        kept_by("conformance/test_it_bites test_the_houses_router_refuses_such_a_route"),
    ),
    Defence(
        "who authenticates is found among the dependencies",
        "app/core/policy.py",
        "return getattr(dependant.call, name, False) or",
        "return True or",
        kept_by("conformance/test_it_bites test_a_route_without_a_policy"),
    ),
    Defence(
        "users are no superusers",
        CALLER,
        "if not user.is_superuser:",
        "if False:",
        kept_by("conformance/test_matrix test_only_superusers"),
    ),
    Defence(
        "a verified token expires",
        "app/auth/verified_tokens.py",
        "if known is not None and now < known.expires_at:",
        "if known is not None:",
        kept_by("unit/test_verified_tokens test_a_token_that_was_right_is_not_right_for_ever"),
    ),
    Defence(
        "a session ends",
        CALLER,
        'AuthSession.expires_at > bindparam("now"), ',
        "",
        kept_by("integration/test_auth test_a_token_of_no_session_or_an_expired_one_is_401"),
    ),
    Defence(
        "a deactivated account is out",
        CALLER,
        'AuthSession.expires_at > bindparam("now"), User.is_active)',
        'AuthSession.expires_at > bindparam("now"))',
        kept_by("conformance/test_matrix test_only_the_signed_in"),
    ),
    Defence(
        "a token is its session's",
        CALLER,
        'AuthSession.id == bindparam("session_id"), ',
        "",
        kept_by("integration/test_auth test_signing_out_is_in_force_at_once"),
    ),
    Defence(
        "a token expires",
        SECURITY,
        "_claims_registry(settings.app_name, kind).validate(claims)",
        "pass",
        kept_by("unit/test_security test_a_token_is_over_the_second_it_expires"),
    ),
    *(
        Defence(
            f"the claim {name} is checked",
            SECURITY,
            f'        {name}={{"essential": True{value}}},',
            f'        {name}={{"essential": False}},',
            kept_by("unit/test_security test_a_wrong_or_missing_claim_is_refused"),
        )
        for name, value in {
            "iss": ', "value": app_name',
            "aud": ', "value": app_name',
            "sub": "",
            "exp": "",
            "jti": "",
            "iat": "",
            "typ": ', "value": kind',
        }.items()
    ),
    Defence(
        "one algorithm is taken",
        SECURITY,
        "algorithms=[settings.algorithm]",
        'algorithms=["HS256", "HS384", "HS512", "none"]',
        kept_by("unit/test_security test_a_forged_or_broken_token_is_refused"),
    ),
]
