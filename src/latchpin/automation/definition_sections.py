"""From the root mapping to a `Definition`: what each part may hold and how the parts must fit together.

Every function takes the `Section` it reads, notes problems on it and returns a struct that is valid only
if no problem was noted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from latchpin.automation import definition_model as model
from latchpin.automation import definition_values as values
from latchpin.automation.definition_model import AgentType, Definition, FieldType, Method, PaginationKind
from latchpin.automation.definition_reader import Section

_NO_DEFAULT = (
    "an encrypted parameter has no default, because the definition is stored and shown in clear; give its value when a run is started"
)


def read_definition(root: Section) -> Definition:
    """Read the whole definition."""
    _check_version(root)
    kind = root.choice("type", AgentType.AGENT)
    parameters = _read_parameters(root)
    record = _read_record(root)
    follow = _read_follow(root, record)
    if kind is AgentType.COMMAND:
        for name in ("pagination", "follow"):
            root.refuse(name, "a command makes one request; this belongs to `type: agent`")
    elif not root.has("record"):
        root.missing("record")
    return Definition(
        type=kind,
        name=root.required_prose("name", model.MAX_NAME),
        description=root.prose("description", model.MAX_DESCRIPTION),
        documentation=root.prose("documentation", model.MAX_DOCUMENTATION),
        start_url=_read_start_url(root, parameters),
        allowed_domains=root.texts("allowed_domains", model.MAX_DOMAINS, values.domain_problem),
        input_parameters=parameters,
        request=_read_request(root, parameters),
        record=record,
        follow=follow,
        pagination=_read_pagination(root),
        limits=_read_limits(root),
    )


def _check_version(root: Section) -> None:
    if "version" not in root.values:
        root.missing("version")
    else:
        node = root.values["version"]
        if node.value != str(model.FORMAT_VERSION):
            root.problem("version", "must be `1`, the only version of the format there is")


def _read_parameters(root: Section) -> tuple[model.InputParameter, ...]:
    sections = root.sections("input_parameters", model.InputParameter, model.MAX_PARAMETERS)
    parameters = tuple(_read_parameter(each) for each in sections)
    _refuse_twice(sections, [each.name for each in parameters], set())
    return parameters


def _read_parameter(section: Section) -> model.InputParameter:
    name = section.required_text("name", model.MAX_NAME, values.identifier_problem)
    encrypted = section.boolean("encrypted", default=False)
    if encrypted:
        section.refuse("default", _NO_DEFAULT)
    elif values.looks_secret(name):
        section.problem("name", "this name says that the value is a secret; add `encrypted: true`")
    return model.InputParameter(
        name=name,
        description=section.prose("description", model.MAX_DESCRIPTION),
        default=None if encrypted else section.raw_text("default", model.MAX_DEFAULT),
        encrypted=encrypted,
    )


def _refuse_twice(sections: list[Section], names: list[str], taken: set[str]) -> None:
    for section, name in zip(sections, names, strict=True):
        if name and name.lower() in taken:
            section.problem("name", f"the name `{name[:64]}` is used twice (capitals do not count)")
        taken.add(name.lower())


def _read_start_url(root: Section, parameters: Iterable[model.InputParameter]) -> str:
    url = root.required_text("start_url", model.MAX_URL, values.url_problem)
    encrypted = {each.name for each in parameters if each.encrypted}
    _check_placeholders(root, "start_url", url, {each.name for each in parameters})
    if encrypted & set(values.placeholders(url)):
        root.problem(
            "start_url",
            "must not hold an encrypted parameter, because addresses appear in logs; send it in `request.headers` or `request.form`",
        )
    return url


def _check_placeholders(section: Section, name: str, value: str, declared: Collection[str]) -> None:
    for placeholder in dict.fromkeys(values.placeholders(value)):
        if placeholder not in declared:
            section.problem(name, f"uses `{{{placeholder}}}`, which is not in `input_parameters`")


def _read_request(root: Section, parameters: Iterable[model.InputParameter]) -> model.Request:
    section = root.section("request", model.Request)
    if section is None:
        return model.Request()
    method = section.choice("method", Method.GET)
    headers_section, headers = section.pairs("headers", model.MAX_PAIRS)
    form_section, form = section.pairs("form", model.MAX_PAIRS)
    if form and method is not Method.POST:
        section.problem("form", "needs `method: POST`")
    if headers_section:
        _check_headers(headers_section, headers)
    for pairs, values_of in ((headers_section, headers), (form_section, form)):
        if pairs:
            _check_pairs(pairs, values_of, parameters)
    return model.Request(method=method, headers=headers, form=form, obey_robots=section.boolean("obey_robots", default=True))


def _check_headers(section: Section, headers: tuple[tuple[str, str], ...]) -> None:
    seen: set[str] = set()
    for name, value in headers:
        message = values.header_name_problem(name) or (values.header_value_problem(value) if value else None)
        if name.lower() in seen:
            message = "is there twice (capitals do not count)"
        if message:
            section.problem(name, message)
        seen.add(name.lower())


def _check_pairs(section: Section, pairs: tuple[tuple[str, str], ...], parameters: Iterable[model.InputParameter]) -> None:
    declared = {each.name for each in parameters}
    encrypted = {each.name for each in parameters if each.encrypted}
    for name, value in pairs:
        if message := values.form_name_problem(name) or values.brace_problem(value):
            section.problem(name, message)
            continue
        _check_placeholders(section, name, value, declared)
        if value and values.looks_secret(name) and (message := values.secret_value_problem(value, encrypted)):
            section.problem(name, message)


def _read_record(root: Section) -> model.Record | None:
    section = root.section("record", model.Record)
    if section is None:
        return None
    return model.Record(selector=_read_selector(section), fields=_read_fields(section, set()))


def _read_follow(root: Section, record: model.Record | None) -> model.Follow | None:
    section = root.section("follow", model.Follow)
    if section is None:
        return None
    taken = {each.name.lower() for each in record.fields} if record else set()
    return model.Follow(selector=_read_selector(section), fields=_read_fields(section, taken))


def _read_selector(section: Section) -> str:
    return section.required_text("selector", model.MAX_SELECTOR, values.selector_problem)


def _read_fields(section: Section, taken: set[str]) -> tuple[model.Field, ...]:
    sections = section.sections("fields", model.Field, model.MAX_FIELDS)
    if not sections and (not section.has("fields") or "fields" not in section.values):
        section.missing("fields")
    elif section.values["fields"].value == []:
        section.problem("fields", "must hold at least one field")
    fields = tuple(_read_field(each) for each in sections)
    _refuse_twice(sections, [each.name for each in fields], taken)
    return fields


def _read_field(section: Section) -> model.Field:
    kind = section.choice("type", FieldType.TEXT)
    if kind is FieldType.BOOLEAN:
        for name in ("required", "many"):
            section.refuse(name, "a boolean is always there and single: whether the selector finds anything")
    if kind is FieldType.HTML:
        section.refuse("attribute", "`type: html` is the element's own markup; for an attribute use `type: text`")
    if kind is not FieldType.NUMBER:
        section.refuse("decimal_separator", "belongs to `type: number`")
    if kind is not FieldType.DATE:
        section.refuse("date_format", "belongs to `type: date`")
    field = model.Field(
        name=section.required_text("name", model.MAX_NAME, values.identifier_problem),
        selector=section.text("selector", model.MAX_SELECTOR, values.selector_problem),
        type=kind,
        attribute=section.text("attribute", model.MAX_NAME, values.attribute_problem),
        required=section.boolean("required", default=False),
        many=section.boolean("many", default=False),
        decimal_separator=section.choice("decimal_separator", model.DecimalSeparator.POINT),
        date_format=section.text("date_format", 100, values.date_format_problem),
    )
    if section.has("selector") and "selector" not in section.values and field.selector is None:
        section.missing("selector")
    return field


def _read_pagination(root: Section) -> model.Pagination:
    section = root.section("pagination", model.Pagination)
    if section is None:
        return model.Pagination()
    kind = section.choice("kind", PaginationKind.NONE)
    if "kind" not in section.values:
        section.missing("kind")
    elif kind is not PaginationKind.NEXT_LINK:
        section.refuse("selector", "belongs to `kind: next_link`")
    if kind is PaginationKind.NEXT_LINK:
        return model.Pagination(kind=kind, selector=_next_link(section))
    if kind is PaginationKind.NONE:
        _refuse_page_parameter(section)
        return model.Pagination()
    return _page_parameter(section)


def _next_link(section: Section) -> str:
    _refuse_page_parameter(section)
    return _read_selector(section)


def _refuse_page_parameter(section: Section) -> None:
    for name in ("parameter", "first", "last", "step"):
        section.refuse(name, "belongs to `kind: page_parameter`")


def _page_parameter(section: Section) -> model.Pagination:
    first = section.integer("first", model.FIRST_BOUNDS)
    last = section.integer("last", model.LAST_BOUNDS)
    step = section.integer("step", model.STEP_BOUNDS)
    first = 1 if first is None else first
    if last is not None and last < first:
        section.problem("last", "must not be less than `first`")
    return model.Pagination(
        kind=PaginationKind.PAGE_PARAMETER,
        parameter=section.required_text("parameter", model.MAX_NAME, values.query_name_problem),
        first=first,
        last=last,
        step=1 if step is None else step,
    )


def _read_limits(root: Section) -> model.Limits:
    section = root.section("limits", model.Limits)
    if section is None:
        return model.Limits()
    given: dict[str, float | None] = {
        name: section.integer(name, bounds) for name, bounds in model.LIMIT_BOUNDS.items() if name != "delay_seconds"
    }
    given["delay_seconds"] = section.number("delay_seconds", model.LIMIT_BOUNDS["delay_seconds"])
    changes = {name: value for name, value in given.items() if value is not None}
    return msgspec.structs.replace(model.Limits(), **changes)
