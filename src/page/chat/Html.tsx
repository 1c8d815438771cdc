import { Component } from 'preact';

interface HtmlProps {
  /** Sanitized. */
  html: string;
  inline?: boolean;
  class?: string;
}

/** HTML that is sanitized. Its DOM is kept until the HTML changes, so a selection in it survives. */
export class Html extends Component<HtmlProps> {
  override shouldComponentUpdate(next: HtmlProps): boolean {
    return next.html !== this.props.html;
  }

  override render({ html, inline, class: name }: HtmlProps) {
    const Tag = inline ? 'span' : 'div';
    return <Tag class={name} dangerouslySetInnerHTML={{ __html: html }} />;
  }
}
