"""Members of groups, and attributes."""

from __future__ import annotations

G = """
g = zarr.create_group(S, attributes={'title': 'a'}); g.create_array('a/b', shape=(3,), dtype='i4', chunks=(2,))
g.create_group('c', attributes={'d': 1}); z = g.create_array('e', shape=(2,), dtype='f4')
"""
A = "g = zarr.create_group(S, attributes={'a': 1, 'b': [2, {'c': None}]})\n"
LOOKED_AT = ("basename", "name", "path", "read_only")
SORTED = ("array_keys", "group_keys", "keys")

PROGRAMS = {
    **{f"{n} of a group": f"{G}R = g.{n}, g['a'].{n}" for n in LOOKED_AT},
    **{f"{n} of a group": f"{G}R = sorted(g.{n}())" for n in SORTED},
    "array_values": f"{G}R = [seen(node) for node in g.array_values()]",
    "arrays": f"{G}R = [(name, seen(node)) for name, node in g.arrays()]",
    "group_values": f"{G}R = sorted(node.path for node in g.group_values())",
    "groups": f"{G}R = sorted((name, seen(node)) for name, node in g.groups())",
    "members": f"""{G}
R = [sorted(n for n, _ in g.members(max_depth=depth, use_consolidated_for_children=summary))
    for depth in (0, 1, None) for summary in (True, False)]
""",
    "nmembers": f"{G}R = g.nmembers(), g.nmembers(max_depth=None), len(g), 'a/b' in g, 'x' in g, sorted(g)",
    "get": f"{G}R = seen(g.get('a/b')), g.get(path='x', default=5), g.get('x')",
    "get_array": f"{G}R = seen(g.get_array(path='a/b'))",
    "get_group": f"{G}R = seen(g.get_group(path='a'))",
    "get_array of a group": f"{G}g.get_array('a')",
    "get_group of an array": f"{G}g.get_group('e')",
    "get_array of nothing": f"{G}g.get_array('x')",
    "get_group of nothing": f"{G}g.get_group('x')",
    "nothing of that name": f"{G}g['x']",
    "create_group": f"{G}g1 = g.create_group(name='x/y', attributes={{'f': 2}}, overwrite=True); R = seen(g1), seen(g)",
    "require_group": f"""{G}
g1 = g.require_group(name='c'); g2 = g.require_group('new', overwrite=True); R = seen(g1), seen(g2)
""",
    "require_groups": f"{G}R = [seen(node) for node in g.require_groups('c', 'x')], g.require_groups()",
    "require_array": f"{G}z1 = g.require_array(name='e', shape=2, dtype='f4', config=None); R = seen(z1)",
    "require_array, exact": f"{G}z1 = g.require_array('e', shape=2, dtype='f4', exact=True); R = seen(z1)",
    "require_array of another shape": f"{G}g.require_array('e', shape=3, dtype='f4')",
    "require_array of another dtype": f"{G}g.require_array('e', shape=2, dtype='i8', exact=True)",
    "require_array that is a group": f"{G}g.require_array('a', shape=2, dtype='f4')",
    "create_hierarchy of a group": f"""{G}
nodes = {{'n': g.metadata, 'n/z': z.metadata}}
R = [(name, seen(node)) for name, node in sorted(g.create_hierarchy(nodes=nodes, overwrite=False))]
""",
    "del": f"{G}del g['a']; R = seen(g)",
    "set": f"{G}g['v'] = np.arange(3); R = seen(g['v'])",
    "update_attributes of a group": f"{G}g = g.update_attributes(new_attributes={{'b': 1}}); R = seen(g)",
    "attributes of a group": f"{G}g.attrs['x'] = 1; R = dict(g.attrs), seen(zarr.open_group(S, mode='r'))",
    "tree of a group": f"""{G}
R = [str(t).strip() for t in (g.tree(), g.tree(level=0), g.tree(expand=None, level=1, max_nodes=500, plain=True))]
""",
    "info of a group": f"{G}R = [word in str(g.info).split() for word in ('Group', '3')], str(g.info_complete()) != ''",
    "metadata of a group": f"{A}R = g.metadata.to_dict(), g.metadata.zarr_format, g.metadata.attributes",
    "store of a group": f"{G}R = g.store_path.path, g['a'].store_path.path, g.store_path.store == g.store",
    "groups that are the same": f"{G}R = g == zarr.open_group(S, mode='r+'), g == g['a']",
    "synchronizer": f"{G}R = g.synchronizer",
    "Group.from_store": "g = zarr.Group.from_store(S, attributes={'a': 1}, zarr_format=2, overwrite=True); R = seen(g)",
    "Group.open": f"{G}R = seen(zarr.Group.open(S)), seen(zarr.Group.open(store=S, zarr_format=3))",
    "Group.open of nothing": "zarr.Group.open(S)",
    "attributes as a mapping": f"""{A}
R = g.attrs['a'], g.attrs.get('a'), g.attrs.get(key='x', default=3), list(g.attrs.keys()), list(g.attrs.items())
R += list(g.attrs.values()), len(g.attrs), 'a' in g.attrs, g.attrs.asdict(), g.attrs == {{'a': 1}}
""",
    "attributes pop": f"{A}R = g.attrs.pop('a'), g.attrs.pop(key='x', default=4), seen(g)",
    "attributes popitem": f"{A}R = g.attrs.popitem(), seen(g)",
    "attributes clear": f"{A}g.attrs.clear(); R = seen(g)",
    "attributes setdefault": f"{A}R = g.attrs.setdefault('a', 5), g.attrs.setdefault(key='n', default=6), seen(g)",
    "attributes update": f"{A}g.attrs.update({{'a': 2}}, n=3); R = seen(g)",
    "attributes put": f"{A}g.attrs.put(d={{'n': 1}}); R = seen(g)",
    "an attribute that is missing": f"{A}g.attrs['x']",
}
