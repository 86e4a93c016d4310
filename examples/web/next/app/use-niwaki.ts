import { load } from "niwaki";
import type { Model } from "niwaki";
import { useEffect, useState } from "react";

/** A model while the component is mounted, or why there is none. While it is loaded, neither. */
export function useNiwaki(url: string): { model?: Model; error?: Error } {
  const [state, setState] = useState<{ model?: Model; error?: Error }>({});
  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    const loading = load(url, { signal });
    loading.then(
      (model) => signal.aborted || setState({ model }),
      (error: Error) => signal.aborted || setState({ error }),
    );
    return () => {
      controller.abort();
      setState({});
      loading.then(
        (model) => model.dispose(),
        () => {},
      );
    };
  }, [url]);
  return state;
}
