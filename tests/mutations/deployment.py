"""What is deployed: the image, the compose file, and who may reach what."""

from tests.mutations.defence import Defence, kept_by

COMPOSE = "docker-compose.yml"
NGINX = "deploy/nginx/nginx.conf"
PROTOCOL = "app/core/protocol.py"
READINESS = "app/health/readiness.py"
ANSWERED = kept_by("e2e/test_draining test_what_is_connected_is_answered_and_what_is_not_goes_elsewhere")

DEPLOYMENT = [
    Defence(
        "what a killed worker had not begun goes to another at once",
        "app/core/jobs/broker.py",
        "celery.conf.update(task_acks_late=True, task_reject_on_worker_lost=True)",
        "pass",
        kept_by("e2e/test_celery test_what_a_killed_worker_had_not_begun_goes_to_another_at_once"),
    ),
    Defence(
        "no password of the compose file has a default",
        COMPOSE,
        "${REDIS_PASSWORD:?set it in .env, to what openssl rand -hex 32 says}",
        "${REDIS_PASSWORD:-redis}",
        kept_by("e2e/test_containers test_no_secret_has_a_default"),
    ),
    Defence(
        "no container of the compose file gains what it has not",
        COMPOSE,
        "  cap_drop: [ALL]\n",
        "",
        kept_by("e2e/test_containers test_no_service_may_more_than_it_needs"),
    ),
    Defence(
        "on AWS nobody reaches a task but the load balancer",
        "deploy/aws/groundwork.yml",
        "SourceSecurityGroupId: !Ref BalancerGroup",
        "CidrIp: 0.0.0.0/0",
        kept_by("e2e/test_aws test_only_the_balancer_is_open_to_the_world"),
    ),
    Defence(
        "what a killed server has left of a database is not applied to the one that is restored",
        "docs/DEPLOYMENT.md",
        "rm -f app.db-wal app.db-shm && ",
        "",
        kept_by("e2e/test_backups test_what_is_copied_of_sqlite_comes_back"),
    ),
    Defence(
        "an unused connection is kept for as long as the balancer in front needs",
        "app/cli/serve.py",
        "keep_alive_seconds=settings.keep_alive_seconds,",
        "keep_alive_seconds=5,",
        kept_by("e2e/test_draining test_an_unused_connection_is_kept_for_as_long_as_it_is_told"),
    ),
    Defence(
        "the image's server is not root",
        "Dockerfile",
        "USER 10001\n",
        "",
        kept_by("e2e/test_containers test_the_image_runs_what_signals_reach_as_nobody_in_particular"),
    ),
    Defence(
        "behind compose's nginx no address is believed but its own",
        COMPOSE,
        "    FORWARDED_ALLOW_IPS: 10.77.0.10\n",
        "    FORWARDED_ALLOW_IPS: 10.77.0.0/24\n",
        kept_by("e2e/test_containers test_nginx_and_the_apps_know_each_others_addresses"),
    ),
    Defence(
        "a replica needs a password",
        "deploy/postgres/primary.sh",
        "all scram-sha-256",
        "all trust",
        kept_by("e2e/test_postgres_scripts test_a_replica_without_the_password_is_refused"),
    ),
    Defence(
        "an answer's head and body are one write",
        PROTOCOL,
        "transport: Any = JoinedWrites(self.transport, self.loop)",
        "transport: Any = self.transport",
        kept_by("unit/test_protocol test_the_head_and_the_body_of_an_answer_are_one_write"),
    ),
    Defence(
        "a further request is not refused in the middle of an answer",
        PROTOCOL,
        "        if self._owes_answer():\n            self._last_words = words",
        "        if False:\n            pass",
        kept_by("unit/test_protocol test_a_further_request_is_refused_after_the_answer_that_is_owed"),
    ),
    Defence(
        "an unused connection is not closed while a proxy may be sending on it",
        PROTOCOL,
        "if self.app_state.get(DRAINING) and not self._will_say_close():",
        "if False:",
        ANSWERED,
    ),
    Defence(
        "what is answered while draining says that it is the last",
        PROTOCOL,
        "if self.app_state.get(DRAINING) and self.cycle is not None:",
        "if False:",
        ANSWERED,
    ),
    Defence(
        "nginx sends no POST twice",
        NGINX,
        "proxy_next_upstream error timeout;",
        "proxy_next_upstream error timeout non_idempotent;",
        kept_by("e2e/test_load_balancer test_a_post_is_never_sent_twice"),
    ),
    Defence(
        "nginx asks elsewhere",
        NGINX,
        "proxy_next_upstream error timeout;",
        "proxy_next_upstream off;",
        kept_by("e2e/test_load_balancer test_one_that_is_killed_costs_no_read"),
    ),
    Defence(
        "nginx drops what a client says of its address",
        NGINX,
        "X-Forwarded-For $remote_addr;",
        "X-Forwarded-For $http_x_forwarded_for;",
        kept_by("e2e/test_nginx test_what_nginx_says_and_what_it_passes_on"),
    ),
    Defence(
        "an instance without its database is out of the rotation",
        READINESS,
        'return "unavailable"',
        'return "degraded"',
        kept_by(
            "integration/test_readiness test_before_its_migrations_and_without_its_database_it_does_not_serve",
        ),
    ),
    Defence(
        "readiness costs one look a second",
        "app/core/looks.py",
        "if self._look is None or (self._look.done() and time.monotonic() >= self._fresh_until):",
        "if True:",
        kept_by("integration/test_readiness test_however_many_ask_one_look_is_taken"),
    ),
]
