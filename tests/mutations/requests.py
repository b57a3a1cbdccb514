"""What comes in and what goes out: JSON, headers, lists, errors and logs."""

from tests.mutations.defence import Defence, kept_by

JSON = "app/core/http/strict_json.py"
MIDDLEWARE = "app/core/http/middleware.py"
LIST_ORDER = "app/core/lists/order.py"
PAGINATION = "app/core/pagination.py"
NO_JSON = kept_by("unit/test_strict_json test_what_is_not_is_refused")
OWN_LIMIT = kept_by("integration/test_http test_a_routes_own_max_body_size_wins")
BODY_LIMIT = kept_by("integration/test_http test_a_body_may_have_a_mebibyte_and_no_byte_more")
BAD_QUERY = kept_by("integration/test_lists test_a_bad_query_is_422_and_names_the_parameter")
SECURITY_HEADERS = kept_by("integration/test_http test_every_answer_has_the_security_headers")

REQUESTS = [
    Defence("of two fields of one name none is dropped", JSON, "if len(members) != len(pairs):", "if False:", NO_JSON),
    Defence("NaN is no number", JSON, ", parse_constant=_no_constant", "", NO_JSON),
    Defence("1e400 is no number", JSON, ", parse_float=_finite", "", NO_JSON),
    Defence(
        "NUL and lone surrogates are refused",
        JSON,
        "if _SUSPECT.search(body) and _is_unstorable(value):",
        "if False:",
        kept_by("unit/test_strict_json test_a_string_that_no_database_can_store_is_refused"),
    ),
    Defence(
        "NUL in a query is refused",
        "app/core/routing.py",
        'if b"%00" in request.scope["query_string"]:',
        "if False:",
        kept_by("integration/test_hostile test_nul_is_refused_in_a_query_and_in_a_form"),
    ),
    Defence(
        "a path is one without a newline at its end",
        MIDDLEWARE,
        'scope["path"].endswith("\\n")',
        "False",
        kept_by("integration/test_http test_a_path_is_one_without_a_newline_at_its_end"),
    ),
    Defence(
        "silent connections do not keep others out",
        "app/cli/serve.py",
        "        backpressure=MAX_CONNECTIONS,\n",
        "",
        kept_by("e2e/test_slow_clients test_silent_connections_do_not_keep_others_out"),
    ),
    Defence(
        "a connection that says nothing is cut",
        "app/cli/serve.py",
        "HTTPModes.auto if settings.http2_enabled else HTTPModes.http1",
        "HTTPModes.auto",
        kept_by("e2e/test_slow_clients test_a_connection_that_says_nothing_is_cut"),
    ),
    Defence(
        "a head has at most 64 KB",
        "app/cli/serve.py",
        "            max_buffer_size=MAX_HEAD_BYTES,\n",
        "",
        kept_by("e2e/test_slow_clients test_the_status_of_a_large_head_is_431"),
    ),
    Defence(
        "a cursor's text can be stored",
        "app/core/lists/order.py",
        "if isinstance(typed, str) and UNSTORABLE.search(typed):",
        "if False:",
        kept_by("conformance/test_matrix test_cursors"),
    ),
    Defence(
        "NUL in a form is refused",
        JSON,
        "if isinstance(value, str) and UNSTORABLE.search(name + value):",
        "if False:",
        kept_by("integration/test_hostile test_nul_is_refused_in_a_query_and_in_a_form"),
    ),
    Defence(
        "unknown fields are refused",
        "app/core/schemas.py",
        'model_config = ConfigDict(extra="forbid", ',
        "model_config = ConfigDict(",
        kept_by(
            "conformance/test_matrix test_unknown_fields",
            "integration/test_auth test_nobody_makes_themselves_a_superuser",
        ),
    ),
    Defence("unknown parameters are refused", PAGINATION, 'ConfigDict(extra="forbid", ', "ConfigDict(", BAD_QUERY),
    Defence(
        "what was sent is not echoed",
        "app/core/errors.py",
        '"msg": _message(fault)}',
        '"msg": _message(fault), "input": repr(fault.get("input"))}',
        kept_by("integration/test_hostile test_nothing_that_was_sent_is_echoed"),
    ),
    Defence(
        "a body is bounded though it is chunked",
        MIDDLEWARE,
        "await self.limited(scope, receive_in_time, send_json)",
        "await self.app(scope, receive_in_time, send_json)",
        BODY_LIMIT,
    ),
    Defence("a body that is too large is JSON", MIDDLEWARE, "and _is_plain_413(message):", "and False:", OWN_LIMIT),
    Defence(
        "an endpoint does not run for a body that is too large",
        "app/core/routing.py",
        "            request.check_length()\n",
        "",
        OWN_LIMIT,
    ),
    Defence(
        "a length is a number",
        JSON,
        "if not announced.isdecimal() or int(announced[:20]) > limit:",
        "if False:",
        kept_by("integration/test_http test_a_lying_content_length_is_refused"),
    ),
    Defence("security headers are there", MIDDLEWARE, "if header[0] not in names", "if False", SECURITY_HEADERS),
    Defence("nothing is cached", MIDDLEWARE, '    "Cache-Control": "no-store",\n', "", SECURITY_HEADERS),
    Defence(
        "an error of ours tells nothing",
        MIDDLEWARE,
        "await render(AppError())(scope, receive, send_with_headers)",
        "raise",
        SECURITY_HEADERS,
    ),
    Defence(
        "only allowed origins may call",
        MIDDLEWARE,
        "allow_origins=settings.allowed_origins",
        'allow_origins=["*"]',
        kept_by("integration/test_http test_only_allowed_origins_may_call"),
    ),
    Defence(
        "an unknown host is refused",
        MIDDLEWARE,
        "return name in self.names or (bool(self.suffixes) and name.endswith(self.suffixes))",
        "return True",
        kept_by("integration/test_http test_an_unknown_host_is_refused"),
    ),
    Defence(
        "an unsafe request id is replaced",
        MIDDLEWARE,
        "SAFE_REQUEST_ID.fullmatch(value)",
        "value",
        kept_by("integration/test_http test_an_unsafe_request_id_is_replaced"),
    ),
    Defence(
        "a path makes no second line in the log",
        MIDDLEWARE,
        'scope.get("raw_path", b"").partition(b"?")[0].decode("ascii", "replace")',
        'scope["path"]',
        kept_by("integration/test_logs test_a_line_break_in_a_path_makes_no_second_line"),
    ),
    Defence(
        "SQL parameters are not logged",
        "app/core/db/engines.py",
        '"hide_parameters": True,',
        '"hide_parameters": False,',
        kept_by("integration/test_logs test_no_line_of_any_level_holds_a_secret"),
    ),
    Defence(
        "a database's error is told without values",
        "app/core/db/errors.py",
        " if _is_plain(error) else None",
        "",
        kept_by("integration/test_logs test_an_error_is_told_without_its_values"),
    ),
    Defence(
        "a cursor's values are of their columns' types",
        LIST_ORDER,
        "return [_typed(key, value) for key, value in zip(keys, values, strict=True)]",
        "return values",
        kept_by("integration/test_lists test_a_forged_cursor_is_422"),
    ),
    Defence(
        "a cursor is of its order",
        LIST_ORDER,
        "if signature != _signature(keys):",
        "if False:",
        kept_by("integration/test_lists test_a_cursor_is_good_for_its_own_order_only"),
    ),
    Defence(
        "lists are sorted by what may be told",
        LIST_ORDER,
        "[name for name in names if name not in sortable]",
        "[]",
        BAD_QUERY,
    ),
    Defence(
        "lists are bounded",
        PAGINATION,
        "Field(MAX_LIMIT, ge=1, le=MAX_LIMIT)",
        "Field(MAX_LIMIT, ge=1)",
        kept_by("integration/test_lists test_a_list_is_bounded"),
    ),
    Defence(
        "searching takes no wildcards",
        PAGINATION,
        "icontains(query.q, autoescape=True)",
        "icontains(query.q)",
        kept_by("integration/test_lists test_search_finds_text_whatever_its_case_and_takes_no_wildcards"),
    ),
]
