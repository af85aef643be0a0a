"""The HTML that notebooks show of a group: its nodes as a tree that folds, of bounded size. No chunk is read for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from gpuzarr.nodes.array import Array
from gpuzarr.nodes.html import DIM, attributes_of, page, reason, table, text, told, version
from gpuzarr.nodes.html_array import array_html, brief
from gpuzarr.stores.contract import concurrency
from gpuzarr.stores.spread import each

MAX_NODES = 60  # of all groups together; those of upper levels come first
MAX_MEMBERS = 30  # of one group
MAX_LEVELS = 6
MAX_NAME_CHARACTERS = 80
Names = Callable[[Any], list[str]]  # the names that may be those of members of a group


class Branch:
    """A node that is drawn. `members`: None where it is not known whether there are any. `left`: names not drawn."""

    def __init__(self, name: str, node: Any, level: int) -> None:
        self.name, self.node, self.level = name, node, level
        self.members: list[Branch] | None = None
        self.left, self.problem = 0, ""


def group_html(group: Any, names: Names) -> str:
    """The HTML of a `gpuzarr.Group`; it never fails. Lists groups, and opens the nodes that are drawn."""
    facts = table(
        [
            ("Store", told(lambda: group.store)),
            ("Format", told(lambda: version(group))),
            ("Device", told(lambda: getattr(group.device, "name", group.device))),
        ]
    )
    top = grown(group, names)
    nodes = f"<div>{_members(top)}</div>"
    return page(f"gpuzarr.Group {told(lambda: group.name)}", facts + attributes_of(group.metadata.attributes) + nodes)


def grown(group: Any, names: Names) -> Branch:
    """The tree below a group, level by level, until MAX_NODES nodes are in it."""
    top = Branch("", group, 0)
    waiting, room = [top], MAX_NODES
    for branch in waiting:  # which grows meanwhile
        if room <= 0 or branch.level >= MAX_LEVELS:
            break
        _grow(branch, names, min(room, MAX_MEMBERS))
        room -= len(branch.members or ())
        waiting += [member for member in branch.members or () if member.node is not None and not _is_array(member)]
    return top


def _is_array(branch: Branch) -> bool:
    return isinstance(branch.node, Array)


def _grow(branch: Branch, names: Names, most: int) -> None:
    """Find the members of a group, of which `most` are opened; several at once where each costs a request."""
    try:
        found = names(branch.node)
        opened = [Branch(name, None, branch.level + 1) for name in found[:most]]
        each(partial(_open, branch.node), opened, max(concurrency(branch.node.store), 1))
    except Exception as error:  # of a store that lists nothing, and of one that somebody else wrote
        branch.members, branch.problem = [], reason(error)
        return
    branch.members = [member for member in opened if member.node is not None or member.problem]
    branch.left = len(found) - len(opened)


def _open(group: Any, member: Branch) -> None:
    try:
        member.node = group.get(member.name)
    except Exception as error:  # a node with wrong metadata is drawn with its error
        member.problem = reason(error)


def _members(top: Branch) -> str:
    """The HTML of all that is below a branch. The recursion is no deeper than MAX_LEVELS."""
    items = [_drawn(member) for member in top.members or ()]
    if top.members is None:
        items.append(_item(f'<span style="{DIM}">not listed here</span>'))
    elif top.problem:
        items.append(_item(f'<span style="{DIM}">cannot be listed: {top.problem}</span>'))
    elif not items and not top.left:
        items.append(_item(f'<span style="{DIM}">no members</span>'))
    if top.left:
        items.append(_item(f'<span style="{DIM}">… {top.left:,} more names: <code>group.keys()</code></span>'))
    return f'<ul style="list-style:none;margin:0;padding-left:18px">{"".join(items)}</ul>'


def _drawn(branch: Branch) -> str:
    name = f"<b>{text(branch.name, MAX_NAME_CHARACTERS)}</b>"
    if branch.problem:
        return _item(f'{name} <span style="{DIM}">cannot be opened: {branch.problem}</span>')
    if _is_array(branch):
        head = f'{name} <span style="{DIM}">{brief(branch.node)}</span>'
        return _item(f"<details><summary>{head}</summary>{array_html(branch.node)}</details>")
    state = " open" if branch.level < 2 else ""
    return _item(f"<details{state}><summary>{name}/</summary>{_members(branch)}</details>")


def _item(content: str) -> str:
    return f'<li style="margin:0">{content}</li>'
