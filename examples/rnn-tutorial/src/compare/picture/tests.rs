use super::*;
use crate::model::Config;
use crate::run::Model;

fn picture(model: Model, num_steps: usize) -> Picture {
    let g = tf::Graph::new();
    let net = model.build(&g, Config { batch_size: 8, num_steps, state_size: 4, learning_rate: 0.1 });
    Picture::of(&g, &net)
}

/// The forward part as an outline: label, type and note of each box, indented by what is around it.
fn outline(picture: &Picture) -> String {
    fn write(picture: &Picture, parent: Option<usize>, depth: usize, text: &mut String) {
        for (i, drawn) in picture.boxes.iter().enumerate() {
            if drawn.parent == parent && !drawn.backward && drawn.kind != Kind::Constant {
                let PictureBox { kind, label, ty, note, .. } = drawn;
                let line = format!("{}{kind:?} {label} : {ty} {note}", "  ".repeat(depth));
                *text += &format!("{}\n", line.trim_end().trim_end_matches(" :"));
                write(picture, Some(i), depth + 1, text);
            }
        }
    }
    let mut text = String::new();
    write(picture, None, 0, &mut text);
    text
}

#[test]
fn an_unrolled_network_has_a_group_for_each_step() {
    let expected = "\
Placeholder input_placeholder : i32[8,2]
Placeholder labels_placeholder : i32[8,2]
Op zeros : f32[8,4] init_state
Op one_hot : f32[8,2,2]
Op unstack : 2 × f32[8,2]
Scope rnn/basic_rnn_cell
  Variable kernel : f32[6,4]
    Op kernel : f32[6,4]
    Op read : f32[6,4]
  Variable bias : f32[4]
    Op bias : f32[4]
    Op read : f32[4]
  Group step 1
    Op concat : f32[8,6]
    Op MatMul : f32[8,4]
    Op BiasAdd : f32[8,4]
    Op Tanh : f32[8,4]
  Group step 2
    Op concat_1 : f32[8,6]
    Op MatMul_1 : f32[8,4]
    Op BiasAdd_1 : f32[8,4]
    Op Tanh_1 : f32[8,4] final_state
Scope softmax
  Variable W : f32[4,2]
    Op W : f32[4,2]
    Op read : f32[4,2]
  Variable b : f32[2]
    Op b : f32[2]
    Op read : f32[2]
Op unstack_1 : 2 × i32[8]
Op stack : f32[2,8]
Op Mean : f32[] total_loss
Group losses
  Group loss 1
    Op MatMul : f32[8,2]
    Op add : f32[8,2]
    Op SparseSoftmaxCrossEntropyWithLogits : f32[8], f32[8,2]
  Group loss 2
    Op MatMul_1 : f32[8,2]
    Op add_1 : f32[8,2]
    Op SparseSoftmaxCrossEntropyWithLogits_1/SparseSoftmaxCrossEntropyWithLogits : f32[8], f32[8,2]
";
    assert_eq!(outline(&picture(Model::Static, 2)), expected);
}

#[test]
fn a_loop_has_its_body_inside() {
    let expected = "\
Scope rnn
  Op transpose : f32[?,8,2]
  Scope basic_rnn_cell
    Variable kernel : f32[6,4]
      Op kernel : f32[6,4]
      Op read : f32[6,4]
    Variable bias : f32[4]
      Op bias : f32[4]
      Op read : f32[4]
  Loop scan : f32[8,4], f32[?,8,4], i32[]
    Param carry : f32[8,4] from the turn before
    Param slice : f32[8,2] slice t of what goes in
    Param kernel : f32[6,4] the same at every turn
    Param bias : f32[4] the same at every turn
    Op concat : f32[8,6]
    Op MatMul : f32[8,4]
    Op BiasAdd : f32[8,4]
    Op Tanh : f32[8,4]
    Result next carry : f32[8,4] final_state
    Result output : f32[8,4] slice t of what comes out
  Op transpose_1 : f32[8,?,4]
";
    let picture = picture(Model::Dynamic, 2);
    let outline = outline(&picture);
    assert!(outline.contains(expected), "{outline}");
    let named = |i: usize| &*picture.boxes[i].label;
    let carried: Vec<(&str, &str)> = picture
        .edges
        .iter()
        .filter(|edge| edge.kind == EdgeKind::Carry && !picture.boxes[edge.to].backward)
        .map(|edge| (named(edge.from), named(edge.to)))
        .collect();
    assert_eq!(carried, [("next carry", "carry")]);
}

#[test]
fn every_box_but_a_source_is_led_to_and_all_parents_are_around() {
    for model in Model::ALL {
        let Picture { boxes, edges } = picture(model, 3);
        for (i, drawn) in boxes.iter().enumerate() {
            let source = ["Placeholder", "Const", "VariableV2"].contains(&&*drawn.op);
            let leaf = !drawn.op.is_empty() && drawn.kind != Kind::Loop;
            assert_eq!(leaf && !source, leaf && edges.iter().any(|edge| edge.to == i), "{model}: {drawn:?}");
            let around = std::iter::successors(drawn.parent, |at| boxes[*at].parent);
            assert!(
                around.take(boxes.len() + 1).count() <= boxes.len(),
                "{model}: {drawn:?} is inside of itself"
            );
        }
        let backward =
            |label: &str| boxes.iter().find(|b| b.label == label && b.parent.is_none()).map(|b| b.backward);
        assert_eq!((backward("gradients"), backward("Adagrad")), (Some(true), Some(true)), "{model}");
        let unfolded = boxes.iter().filter(|b| b.open && !["rnn", "rnn/basic_rnn_cell"].contains(&&*b.label));
        assert_eq!(unfolded.count(), 1, "{model}");
    }
}
