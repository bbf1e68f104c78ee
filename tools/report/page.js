// Draws the figures that the page carries as data, in the colours of the page, again when those change.
// From: #figures (JSON). To: every .plot; window.reportReady is true once all of them are drawn.
(async () => {
  "use strict";
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const themed = (layout) => {
    const axis = { gridcolor: colour("--line"), linecolor: colour("--line"), zerolinecolor: colour("--line") };
    return {
      ...layout,
      font: { family: "system-ui, sans-serif", size: 12, color: colour("--ink") },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      hoverlabel: { bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--ink") } },
      xaxis: { ...axis, ...layout.xaxis },
      yaxis: { ...axis, ...layout.yaxis },
    };
  };
  const draw = (place) => {
    const figure = figures[place.dataset.figure];
    return Plotly.react(place, figure.data, themed(figure.layout), config);
  };
  const drawAll = () => Promise.all([...document.querySelectorAll(".plot")].map(draw));

  const choice = document.getElementById("pair");
  if (choice) {
    choice.addEventListener("change", () => {
      const place = document.getElementById("price");
      place.dataset.figure = choice.value;
      return draw(place);
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  await drawAll();
  window.reportReady = true;
})();
