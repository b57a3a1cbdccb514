"""sqladmin's options that do nothing here: whoever sets one is told so, and not left to find out."""

from collections.abc import Iterable

FORMS = {
    "form", "form_base_class", "form_args", "form_widget_args", "form_columns", "form_excluded_columns",
    "form_overrides", "form_include_pk", "form_ajax_refs", "form_converter", "form_rules", "form_create_rules",
    "form_edit_rules", "scaffold_form", "get_form_columns", "get_form_data_for_edit", "create_context", "edit_context",
    "save_as", "save_as_continue",
}  # fmt: skip
HOOKS = {
    "on_model_change", "after_model_change", "on_model_delete", "after_model_delete", "insert_model", "update_model",
    "delete_model", "on_import_row",
}  # fmt: skip
IMPORTS = {
    "can_import", "column_import_list", "column_import_exclude_list", "import_max_rows", "max_import_file_size",
    "max_reported_missed_rows",
}  # fmt: skip
INSTEAD = {
    "the schemas say what a form has": FORMS,
    "override insert, change or remove": HOOKS,
    "nothing is imported": IMPORTS,
    "lists are searched, sorted and counted in bounded time": {"column_filters", "count_query"},
}


def refuse_what_does_nothing(view: type, names: Iterable[str]) -> None:
    """Raises TypeError."""
    for why, options in INSTEAD.items():
        for name in sorted(options.intersection(names)):
            raise TypeError(f"{view.__name__}.{name} does nothing in the admin: {why}")
    for name in names:
        if getattr(getattr(view, name, None), "_action", False):
            raise TypeError(
                f"{view.__name__}.{name}: sqladmin's actions are GETs that change things, which a link could"
            )
