"""What the browser sees: the admin's doors and rules, the files of its pages and of the docs'."""

from tests.mutations.defence import Defence, kept_by

DOORS, COOKIE, PAGES = "app/auth/admin/dependencies.py", "app/auth/admin/cookie.py", "app/core/admin/site.py"
SIGN_IN = "integration/test_admin_sign_in"

ADMIN = [
    Defence(
        "the admin is for superusers",
        DOORS,
        "        await superuser(user)\n",
        "",
        kept_by(
            f"{SIGN_IN} test_nobody_sees_anything_before_signing_in",
            f"{SIGN_IN} test_what_ends_a_session_ends_the_admins",
        ),
    ),
    Defence(
        "no bearer token opens the admin",
        COOKIE,
        'return read_access_token(request.cookies.get(name(settings), ""), settings, ADMIN)',
        'return request.app.state.tokens.read(request.cookies.get(name(settings), ""), utcnow())',
        kept_by(
            f"{SIGN_IN} test_nobody_sees_anything_before_signing_in",
            f"{SIGN_IN} test_the_cookie_is_no_bearer_token_and_no_bearer_token_a_cookie",
        ),
    ),
    Defence(
        "the admin's cookie is no bearer token",
        "app/core/security.py",
        '"value": kind}',
        '"values": [ACCESS, ADMIN]}',
        kept_by(f"{SIGN_IN} test_the_cookie_is_no_bearer_token_and_no_bearer_token_a_cookie"),
    ),
    Defence(
        "a session that nobody has used is over in the admin, too",
        DOORS,
        'AuthSession.last_used_at > bindparam("idle_since")',
        'AuthSession.created_at != bindparam("idle_since")',
        kept_by(f"{SIGN_IN} test_a_session_that_nobody_used_is_over"),
    ),
    Defence(
        "a session that the admin uses is in use",
        COOKIE,
        ".values(last_used_at=utcnow())",
        ".values(last_used_at=AuthSession.last_used_at)",
        kept_by(f"{SIGN_IN} test_whoever_works_stays_signed_in"),
    ),
    Defence(
        "another website's page changes nothing in the admin",
        DOORS,
        '_host_of(origin or "") == request.headers.get("host")',
        "True",
        kept_by(f"{SIGN_IN} test_another_websites_page_changes_nothing"),
    ),
    Defence(
        "what a browser says of another website's page is believed",
        DOORS,
        'is_ours = site == "same-origin" and ',
        "is_ours = ",
        kept_by(f"{SIGN_IN} test_another_websites_page_changes_nothing"),
    ),
    Defence(
        "another website's page asks the admin for nothing, but may link to it",
        DOORS,
        'is_ours = site in ("same-origin", "none") or _is_followed_link(request)',
        "is_ours = True",
        kept_by(f"{SIGN_IN} test_another_websites_page_asks_for_nothing_and_may_link_to_it"),
    ),
    Defence(
        "a link from another website signs nobody out",
        "app/auth/admin/route.py",
        "if cookie.is_sent(request):",
        "if True:",
        kept_by(f"{SIGN_IN} test_another_websites_page_asks_for_nothing_and_may_link_to_it"),
    ),
    Defence(
        "whoever may not be in the admin has used their code up",
        "app/auth/admin/router.py",
        "        return sign_in_page(request, error.status_code, str(error.detail))\n",
        "        raise error\n",
        kept_by(f"{SIGN_IN} test_a_code_is_used_up_by_whoever_may_not_come_in"),
    ),
    Defence(
        "signing in again ends the session before",
        "app/auth/admin/router.py",
        "    await _end_the_last(db, request, user_id)\n",
        "",
        kept_by(f"{SIGN_IN} test_signing_in_again_ends_the_session_before"),
    ),
    Defence(
        "only superusers get the admin's cookie",
        "app/auth/admin/router.py",
        "        await superuser(user)\n",
        "",
        kept_by(f"{SIGN_IN} test_only_superusers_come_in"),
    ),
    Defence(
        "no script reads the admin's cookie",
        COOKIE,
        '        httponly=True,\n        samesite="strict",\n    )\n\n\ndef forget',
        "    )\n\n\ndef forget",
        kept_by(f"{SIGN_IN} test_the_cookie_is_for_the_admin_alone"),
    ),
    Defence(
        "whoever goes away is signed out of the admin",
        COOKIE,
        "if left < timedelta(minutes=settings.access_token_expire_minutes) / 2 and",
        "if False and",
        kept_by(f"{SIGN_IN} test_whoever_works_stays_signed_in"),
    ),
    Defence(
        "the admin keeps the last superuser",
        "app/users/admin.py",
        "await delete_user(await self._locked(db, request, pk), request.state.admin_user, request, db)",
        "await db.delete(await self._locked(db, request, pk))",
        kept_by("integration/test_admin test_the_last_superuser_stays"),
    ),
    Defence(
        "what is changed in the admin is in the audit trail",
        "app/core/admin/views.py",
        "audit.record(db, request, event, user_id=owner, actor_id=actor.id, session_id=actor.session_id, **about)",
        "_ = (owner, actor, about)",
        kept_by(
            "integration/test_admin test_a_new_row_is_its_owners",
            "integration/test_admin test_only_what_was_touched_is_changed",
        ),
    ),
    Defence(
        "the admin writes only what was touched",
        "app/core/admin/forms.py",
        'is_untouched = before.get(f"{PREFIX}{name}", NOTHING) == _digest(typed)',
        "is_untouched = False",
        kept_by("integration/test_admin test_only_what_was_touched_is_changed"),
    ),
    Defence(
        "the admin's pages run only files",
        PAGES,
        '{"Content-Security-Policy": _policy(self._settings)}',
        "{}",
        kept_by("integration/test_admin test_its_pages_run_only_files"),
    ),
    Defence(
        "the admin changes nothing by a GET",
        "app/core/admin/options.py",
        'if getattr(getattr(view, name, None), "_action", False):',
        "if False:",
        kept_by("integration/test_admin_views test_an_action_is_refused"),
    ),
    Defence(
        "what a view hides is hidden in the admin",
        "app/core/admin/registry.py",
        '"column_details_list": [name for name in shown if name not in hidden_in_details],',
        '"column_details_list": shown,',
        kept_by("integration/test_admin_views test_what_a_view_hides_is_hidden"),
    ),
    Defence(
        "no link puts words into the admin's pages",
        PAGES,
        'request.query_params.multi_items() if name != "error"]',
        "request.query_params.multi_items()]",
        kept_by("integration/test_admin_views test_every_error_of_a_delete_is_told_and_nobody_elses"),
    ),
    Defence(
        "a static file's name is its hash",
        "app/core/http/static_files.py",
        ' or (file := _file(plain)).hash != match["hash"]',
        " or not (file := _file(plain))",
        kept_by("integration/test_static_files test_a_wrong_name_is_404"),
    ),
    Defence(
        "the first page is for development",
        "app/main.py",
        'if settings.environment == "development":',
        "if True:",
        kept_by("integration/test_static_files test_the_first_page_is_for_development_only"),
    ),
]
