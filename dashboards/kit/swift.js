// What makes a flip quick. Bokeh repeats two things at every paint that change nothing here,
// and after each of them the browser computes all styles again, which takes longer than the
// drawing. Both are kept from happening; with a Bokeh that is built otherwise, they happen.

function keepStyles(figures) {
  const viewsOf = (figure) => Bokeh.index.find_one_by_id?.(figure.id)?.renderer_views ?? new Map();
  for (const figure of figures) {
    const views = viewsOf(figure);
    // A wider tick label lays the figure out again. The borders have room for any label, so
    // vertical axes keep the width they began with.
    for (const axis of figure.left) {
      const layout = views.get(axis)?.layout;
      if (layout?.has_size_changed) layout.has_size_changed = () => false;
    }
    // Every renderer writes its position into a stylesheet, mostly the one it has already.
    for (const view of views.values()) {
      const sheet = view.position;
      if (!sheet?.replace || "written" in sheet) continue;
      sheet.written = null;
      sheet.replace = (css, styles) => {
        if (styles === undefined && css === sheet.written) return;
        sheet.written = css;
        Object.getPrototypeOf(sheet).replace.call(sheet, css, styles);
      };
    }
  }
}

