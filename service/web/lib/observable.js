// A value that parts of a screen share: who changes it tells the others.

// watch(listener): called now and after each change with the value and the names that changed.
export function observable(value) {
  const listeners = new Set();
  return {
    get value() {
      return value;
    },
    set(changes) {
      const changed = Object.keys(changes).filter((name) => !Object.is(value[name], changes[name]));
      if (changed.length === 0) return;
      value = { ...value, ...changes };
      for (const listener of listeners) listener(value, changed);
    },
    watch(listener) {
      listeners.add(listener);
      listener(value, Object.keys(value));
    },
  };
}
