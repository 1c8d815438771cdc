import { Component, type ComponentChildren } from 'preact';

interface Props {
  /** Shown instead of children that threw. */
  fallback: ComponentChildren;
  children: ComponentChildren;
}

/** Shows something else if its children throw while they render, so that the rest of the page works. */
export class ErrorBoundary extends Component<Props, { failed: boolean }> {
  override state = { failed: false };

  override componentDidCatch(error: unknown): void {
    console.error('A part of the page could not be shown:', error);
    this.setState({ failed: true });
  }

  /** Children that changed may be shown again: a later text of the same answer. */
  override componentWillReceiveProps(next: Props): void {
    if (next.children !== this.props.children && this.state.failed) this.setState({ failed: false });
  }

  override render({ fallback, children }: Props) {
    return this.state.failed ? fallback : children;
  }
}
